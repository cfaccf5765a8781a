"""Studies: `sweep` runs the cells of any grid and tests contrasts; `paper` is the paper's grid, tables and claims."""
