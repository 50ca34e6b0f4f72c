"""Exercises: a student's lab is checked, and the submissions of a class are graded."""
