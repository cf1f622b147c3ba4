"""Where networks come from beside torchvision's and timm's classifiers: the user's own code, other zoos.

May import what ``workloads.models`` may, and that.
"""
