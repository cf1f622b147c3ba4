"""What workloads stand on: PyTorch's streams, names that it does not promise to keep, files that are not what they seem.

May import torch alone.
"""
