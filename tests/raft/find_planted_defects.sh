#!/bin/sh
# Usage: find_planted_defects.sh RAFT_STORIES_MUTANTS DEFECT...: some story must fail with each.
stories=$1
shift
"$stories" >/dev/null 2>&1 || { echo "the stories fail without any defect"; exit 1; }
missed=0
for defect in "$@"; do
  if "$stories" --mutant "$defect" >/dev/null 2>&1; then
    echo "NOT FOUND $defect"
    missed=1
  else
    echo "found $defect"
  fi
done
exit $missed
