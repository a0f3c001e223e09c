#!/bin/sh
# make run: serves the sample endpoints, plays each platform once, and goes on serving until Ctrl-C. Events are printed on stdout as
# they are delivered, everything else on stderr.
#
# LISTEN, ADMIN: addresses. DATA_DIR: where events are kept. SAMPLES: the manifests. BIN: the hookbay program.
set -u
listen=${LISTEN:-127.0.0.1:8080}
admin=${ADMIN:-127.0.0.1:9090}
data_dir=${DATA_DIR:-.hookbay}
samples=${SAMPLES:-config/samples}
hookbay=${BIN:-bin/hookbay}

"$hookbay" run -f "$samples" --listen "$listen" --admin "$admin" --data-dir "$data_dir" --target print &
pid=$!
# The shell starts background programs with Ctrl-C ignored, so pass it on. Then wait until everything is put away.
trap 'kill -TERM $pid 2>/dev/null' INT TERM HUP

"$hookbay" send -f "$samples" --url "http://$listen" --wait 30s >&2
sent=$?
if [ $sent != 0 ]; then
	kill -TERM $pid 2>/dev/null
	wait $pid
	exit $sent
fi
echo "Serving on http://$listen; Ctrl-C ends it." >&2

# A signal interrupts wait: wait again for the program itself.
status=0
while kill -0 $pid 2>/dev/null; do
	wait $pid
	status=$?
done
exit $status
