#!/bin/sh
# Starts the node of one pod of a StatefulSet: it resumes what its disk says, else joins whoever is there, else founds the cluster.
#
# Only pod 0 ever founds one, and only where no other pod answers: a second cluster would hide the first.
set -eu

set_name=${HOSTNAME%-*}
number=${HOSTNAME##*-}
others=
i=0
while [ "$i" -lt "${GREENROOM_REPLICAS:-3}" ]; do
  if [ "$i" != "$number" ]; then
    others="$others,$set_name-$i.$GREENROOM_SERVICE:7400"
  fi
  i=$((i + 1))
done
others=${others#,}

export GREENROOM_NODE_NAME="$HOSTNAME"
export GREENROOM_ADVERTISE="$HOSTNAME.$GREENROOM_SERVICE"
if [ -n "$(ls -A "$GREENROOM_DATA" 2>/dev/null)" ]; then
  exec greenroom node
fi
if greenroom status --cluster "$others" >/dev/null 2>&1; then
  exec greenroom node --join "$others"
fi
if [ "$number" = 0 ]; then
  exec greenroom node
fi
exec greenroom node --join "$others"
