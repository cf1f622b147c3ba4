"""What workloads stand on: PyTorch's streams and private names, and files that are not what they seem.

May import torch alone.
"""
