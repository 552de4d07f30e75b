"""What the kernel is and says: mounts, file systems, limits, descriptors, users, images."""
