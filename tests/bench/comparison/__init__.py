"""The comparison that tests/bench/run makes.

  measuring   wall time, processor time and peak memory of programs, and of the daemons that serve them
  mount       a filesystem served by a process, from mounting to unmounting
  data        what is backed up
  rows        the rows of the table, and which of them were chosen
  scenario    steps on one repository or store, one after the other
  tools/      one module a tool
  results     figures by tool, row and door; medians of several runs
  table       prints the figures
  bars        what is asked of varve, and whether it was met

  random_reads, in_place, file_tree   what the rows of these names need
"""
