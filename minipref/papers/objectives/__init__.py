"""Objectives: several wishes at once, and policies that trade one for another."""
