"""Datasets: the problems of a run (shape, class of each image) and sets of real images to measure against.

The run asks a dataset for conditions; metrics go through an `ImageSet` in batches. No dataset meets a search.
"""
