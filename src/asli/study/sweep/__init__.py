"""A resumable sweep: cells of a grid are trained and evaluated over seeds, and linear contrasts of them tested."""
