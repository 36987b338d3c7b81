#!/bin/sh
# Usage: finds_planted_defects.sh FETTLE_SIM DEFECT[:PROFILE]...: each planted defect must be found.
sim=$1
shift
missed=0
for one in "$@"; do
  defect=${one%%:*}
  profile=default
  case $one in *:*) profile=${one#*:} ;; esac
  result=$("$sim" --seeds 2000 --profile "$profile" --mutant "$defect" --output json 2>/dev/null |
    tail -n 1)
  case $result in
    *'"failed":0,'* | '') echo "NOT FOUND $one: $result"; missed=1 ;;
    *) echo "found $one: $result" ;;
  esac
done
exit $missed
