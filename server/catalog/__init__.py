"""What is known about files beyond their bytes."""
