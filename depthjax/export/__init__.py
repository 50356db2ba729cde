"""Faces for other programs: class folders of images, arrays, point clouds and meshes, with their labels."""
