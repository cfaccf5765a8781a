"""The study of Hakim et al. (2024): its printed numbers, a grid that measures them again, and its claims answered."""
