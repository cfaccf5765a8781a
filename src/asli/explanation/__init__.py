"""Maps of the regions that change a score, and checks of these maps. A map shows where, not why."""
