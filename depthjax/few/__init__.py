"""What helps a classifier most where few people are known: the stage `few`."""
