"""What workloads stand on: PyTorch's streams, memory, names it does not promise to keep, files not what they seem.

May import torch alone.
"""
