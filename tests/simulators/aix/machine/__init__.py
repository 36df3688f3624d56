"""An AIX machine: ODM, kernel, SRC and NIM as state on disk, and the commands that show and change it."""
