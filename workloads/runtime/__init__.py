"""What workloads and the measurement ask of PyTorch itself: streams, and names that it does not promise to keep.

May import torch alone.
"""
