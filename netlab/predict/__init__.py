"""Predict the path of a packet from the plan, before anything is sent."""
