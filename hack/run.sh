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

pipes=$(mktemp -d) || exit 1
trap 'rm -rf "$pipes"' EXIT
mkfifo "$pipes/log" "$pipes/ready" || exit 1

"$hookbay" run -f "$samples" --listen "$listen" --admin "$admin" --data-dir "$data_dir" --target print 2>"$pipes/log" &
pid=$!
# The shell starts background programs with Ctrl-C ignored, so pass it on.
trap 'interrupted=1; kill -TERM $pid 2>/dev/null' INT TERM HUP

# Shows the log, and says when the receiver listens: if another program has its port, no callback must be sent there.
(
	trap '' INT TERM HUP # it ends with the log
	while IFS= read -r line; do
		printf '%s\n' "$line" >&2
		case $line in *'Receiver takes callbacks'*) echo yes >&3 ;; esac
	done <"$pipes/log"
) 3>"$pipes/ready" &
read -r ready <"$pipes/ready"

if [ "$ready" = yes ]; then
	judged=0
	"$hookbay" send -f "$samples" --url "http://$listen" --wait 30s >&2 || judged=$?
	# A failure is there to be looked at: the receiver has the log and the metrics that explain it.
	[ $judged = 0 ] || echo "Warning: the sample callbacks did not all succeed (hookbay send: exit status $judged)." >&2
	[ -n "${interrupted-}" ] || echo "Serving on http://$listen; Ctrl-C ends it." >&2
fi

# A signal interrupts wait: wait again, until everything is put away.
interrupted=1
while [ $interrupted = 1 ]; do
	interrupted=0
	wait $pid
	status=$?
done
wait # for the rest of the log
exit $status
