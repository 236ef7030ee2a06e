"""The tour: the real window and the real engine driven through the main job, a picture of each step."""
