#!/bin/sh
# Usage: finds_planted_defects.sh FETTLE_SIM DEFECT...: each planted defect must be found.
sim=$1
shift
missed=0
for defect in "$@"; do
  result=$("$sim" --seeds 2000 --mutant "$defect" --output json 2>/dev/null | tail -n 1)
  case $result in
    *'"failed":0,'* | '') echo "NOT FOUND $defect: $result"; missed=1 ;;
    *) echo "found $defect: $result" ;;
  esac
done
exit $missed
