"""What accelsweep measures: image processing, inference, finetuning, and single operations.

May import torch and torchvision; neither Ray nor ``sweeps`` nor ``analysis``.
"""
