# The part of every runbook that never changes: reach a node, judge a check, perform a step, remember what was done. POSIX sh, no "local".
# What is around it defines ID OPERATION NODES DOWN USAGE AFTERWARDS STATE_DIR RUN_DIR COMMANDS_LOCK NODE_ID_FILE SSH_SCRIPT FIND_PYTHON
# LOCK_TAKE LOCK_DROP LOCK_ALIVE JOURNAL_BEGIN JOURNAL_SITE and the functions summary, before, still_ours, phases and unpack.

say() {
  printf '%s\n' "$*"
  [ -z "$LOG" ] || printf '%s\n' "$*" >>"$LOG"
}

# end_with EXIT_CODE WHAT STATE HINT: the codes are those of xcat-ha (1 failed, 2 usage, 3 refused, 4 unknown, 5 interrupted).
end_with() {
  ending="$2"
  say "runbook: $2" >&2
  say "state: $3" >&2
  say "hint: $4" >&2
  exit "$1"
}

# One word after the other, quoted so that a shell reads exactly these words.
quoted() {
  for word; do
    case $word in
      ''|*[!A-Za-z0-9_@%+=:,./-]*) printf '%s\n' "$word" | LC_ALL=C sed "s/'/'\\\\''/g; 1s/^/'/; \$s/\$/' \\\\/" || return 1 ;;
      *) printf '%s ' "$word" ;;
    esac
  done
  printf ' '
}

# on HOST LIMIT_S WORD...: run a command there; stdin goes to it. 124, 137: it took too long; 255 from another host: no answer.
on() {
  on_host=$1 on_limit=$2
  shift 2
  set -- timeout -k 5 "$on_limit" "$@"
  if [ "$on_host" = "$HERE" ]; then
    "$@"
    return
  fi
  # Ctrl-C must not leave a word out.
  on_words=$(trap '' INT TERM; quoted "$@") || return 255
  # "timeout" also keeps Ctrl-C from the connection: a command that was begun is waited for.
  timeout -k 5 "$((on_limit + 30))" sh -c "$SSH_SCRIPT" "$on_host" "$WORK/c-$on_host" "$on_words" -o ControlMaster=no
}

no_answer() { # no_answer HOST EXIT_CODE
  case $2 in
    124|137) return 0 ;;
    255) [ "$1" != "$HERE" ] ;;
    *) return 1 ;;
  esac
}

# feed TEXT: it becomes the stdin of the next command.
feed() { printf %s "$1" >"$WORK/in" || no_room; }

no_room() { end_with 1 "$WORK cannot be written" "what was done is in the journal" "make room there, then run this file again"; }

# ask NUMBER HOST LIMIT_S WORD...: a question; it changes nothing.
ask() {
  ask_number=$1 ask_host=$2
  shift 2
  rm -f "$WORK/out.$ask_number" "$WORK/err.$ask_number" "$WORK/code.$ask_number"
  on "$ask_host" "$@" >"$WORK/out.$ask_number" 2>"$WORK/err.$ask_number"
  ask_code=$?
  if no_answer "$ask_host" "$ask_code"; then
    ask_code=-
    echo "$ask_host: no answer" >>"$WORK/err.$ask_number"
  fi
  echo "$ask_code" >"$WORK/code.$ask_number" || no_room
}

# judge COUNT RULE [WORD...]: sets verdict (holds, fails, unknown) and detail from the answers to the last COUNT questions.
judge() {
  judge_count=$1
  shift
  set -- "$@" --
  judge_number=1
  while [ "$judge_number" -le "$judge_count" ]; do
    set -- "$@" "$(cat "$WORK/code.$judge_number")" "$WORK/out.$judge_number" "$WORK/err.$judge_number"
    judge_number=$((judge_number + 1))
  done
  judge_line=$(trap '' INT TERM; "$PYTHON" -m xcat_ha.judge "$@" </dev/null) || judge_line="unknown it could not be judged"
  verdict=${judge_line%% *}
  detail=${judge_line#* }
}

# must QUESTION HINT: go on only if the last verdict was holds.
must() {
  case $verdict in
    holds) ;;
    fails) end_with "$REFUSAL" "it does not hold that $1: $detail" "$STATE" "$2" ;;
    *) end_with 4 "cannot tell whether $1: $detail" "$STATE" "$2" ;;
  esac
}

# change HOST LIMIT_S OK_CODES WORD...: a command that changes something. It holds a lock there until it ends, whatever becomes of us.
change() {
  change_host=$1 change_limit=$2 change_ok=$3
  shift 3
  [ -z "$asked_to_stop" ] || { failure_code=5 failure="stopped on request"; return 1; }
  on "$change_host" "$change_limit" flock -o -s "$COMMANDS_LOCK" "$@" >"$WORK/out" 2>"$WORK/err"
  change_code=$?
  if no_answer "$change_host" "$change_code"; then
    failure_code=4 failure="no answer from a command on $change_host; what it did is not known: $*"
    return 1
  fi
  for change_good in $change_ok; do
    [ "$change_code" -ne "$change_good" ] || return 0
  done
  failure_code=1 failure="a command failed on $change_host (exit $change_code: $(last_words)): $*"
  return 1
}

last_words() {
  if [ -s "$WORK/err" ]; then tail -n 1 "$WORK/err"; else tail -n 1 "$WORK/out"; fi
}

# A cleanup: whatever comes of it, the step's own end matters more.
clean() {
  clean_host=$1 clean_limit=$2
  shift 2
  on "$clean_host" "$clean_limit" flock -o -s "$COMMANDS_LOCK" "$@" >"$WORK/out" 2>"$WORK/err" || say "    cleaning up on $clean_host: $(last_words)"
}

# keep NUMBER NAME: what the last command printed has this name from now on, also when this file is run again.
keep() {
  "$PYTHON" -c 'import sys; sys.stdout.write(sys.stdin.read().strip())' <"$WORK/out" >"$WORK/kept.$1.new" && mv "$WORK/kept.$1.new" "$WORK/kept.$1"
  record captured "$step_facts, \"name\": $(json "$2"), \"value\": $(json "$(cat "$WORK/kept.$1")")"
  say "    $2: $(cat "$WORK/kept.$1")"
}

kept() { # kept NUMBER NAME: an earlier step printed it
  [ -f "$WORK/kept.$1" ] || { failure_code=1 failure="this needs $2, which an earlier step prints"; return 1; }
}

json() { trap '' INT TERM; "$PYTHON" -c 'import json, sys; print(json.dumps(sys.argv[1]))' "$1"; }

uptime_s() { sed 's/[. ].*//' /proc/uptime; }

# record EVENT MORE: a line of the journal, on disk before anything else happens.
record() {
  printf '{"event": "%s", "time": %s%s}\n' "$1" "$(date +%s)" "$2" >>"$JOURNAL" && sync "$JOURNAL" ||
    end_with 1 "the journal $JOURNAL cannot be written" "nothing is changed without a journal" "make room there, then run this file again"
}

note() { # note STATE [DETAIL]
  if [ -n "${2:-}" ]; then note_detail=$(json "$2"); else note_detail='""'; fi
  record step "$step_facts, \"state\": \"$1\", \"detail\": $note_detail"
}

step_failed() { # step_failed EXIT_CODE WHAT STATE HINT
  note failed "$2"
  end_with "$1" "$step_name on $step_host: $2" "$3" "$4"
}

# perform NUMBER NAME HOST SETTLE_S QUESTION HINT FACTS: one step. It is done when its effect was read back, not when its commands say so.
perform() {
  step_number=$1 step_name=$2 step_host=$3 settle_s=$4 question=$5 hint=${6:-mend the cause, then run this file again} step_facts=$7
  [ -z "$asked_to_stop" ] || end_with 5 "stopped on request before $step_name on $step_host" "earlier steps are done" "run this file again"
  "done_$step_number"
  case $verdict in
    holds) note already; say "  $step_host: $step_name: already"; return ;;
    unknown) step_failed 4 "cannot tell whether this still has to be done ($question): $detail" "the step was not started" "$hint" ;;
  esac
  REFUSAL=1 STATE="$step_name on $step_host was not started"
  "only_if_$step_number"
  note started
  say "  $step_host: $step_name"
  failure=
  "run_$step_number"
  [ -n "$failure" ] || await_done
  "clean_$step_number"
  [ -z "$failure" ] || step_failed "$failure_code" "$failure" "the step is not done; earlier steps are" "$hint"
  note done
}

await_done() {
  deadline=$(($(uptime_s) + settle_s))
  while :; do
    "done_$step_number"
    [ "$verdict" != holds ] || return 0
    [ "$(uptime_s)" -lt "$deadline" ] || break
    [ -z "$asked_to_stop" ] || break
    sleep 1
  done
  case $verdict$asked_to_stop in
    *yes) failure_code=5 failure="stopped on request" ;;
    fails) failure_code=1 failure="the commands ran, but it does not hold within $settle_s s that $question: $detail" ;;
    *) failure_code=4 failure="the commands ran, but it cannot be told whether $question: $detail" ;;
  esac
}

# phase NUMBER NAME keeps|reboots WHY. What a reboot undoes is looked at again; its steps skip themselves where their effect is still there.
phase() {
  phase_name=$2
  if [ "$3" = keeps ] && grep -q "\"phase-done\".*\"name\": \"$2\"" "$JOURNAL"; then
    say "phase $2: complete already"
    return
  fi
  say "phase $2: $4"
  "phase_$1"
  record phase-done ", \"name\": \"$2\""
}

# The node's own Python, or the one that XCAT_HA_PYTHON names.
find_python() { on "$1" 60 sh -c "$FIND_PYTHON" sh "${XCAT_HA_PYTHON:-}" </dev/null; }

# What this file carries is unpacked on each node into a directory that only root can look into.
prepare() {
  mkdir -p "$WORK/lib" && chmod 700 "$WORK" && unpack "$WORK/lib" ||
    end_with 1 "$WORK cannot be written" "nothing was changed" "make room there"
  for prepare_host in $NODES; do
    # One connection for all commands; should it end, ssh makes a new one for each.
    rm -f "$WORK/c-$prepare_host"
    [ "$prepare_host" = "$HERE" ] || timeout -k 5 40 sh -c "$SSH_SCRIPT" "$prepare_host" "$WORK/c-$prepare_host" "" \
      -o ControlMaster=yes -o ControlPersist=900 -N -f </dev/null >"$WORK/err" 2>&1 ||
      end_with 4 "$prepare_host does not answer ssh: $(cat "$WORK/err")" "nothing was changed" "see to it that it does"
    [ "$prepare_host" = "$HERE" ] || (cd "$WORK" && tar -cf - lib) | on "$prepare_host" 60 sh -c 'umask 077; mkdir -p "$1" && tar -C "$1" -xf -' sh "$WORK" ||
      end_with 4 "$prepare_host does not take what this file carries" "nothing was changed" "does ssh work? See the line above"
    prepare_python=$(find_python "$prepare_host") ||
      end_with 3 "$prepare_host does not answer, or has no Python 3.11 with sqlite3" "nothing was changed" "see the lines above; install one, or name it: XCAT_HA_PYTHON=/path/python3 sh $0"
    on "$prepare_host" 60 sh -c "$WRAP_PYTHON" sh "$WORK" "$prepare_python" </dev/null ||
      end_with 4 "$prepare_host cannot be prepared" "nothing was changed" "see the line above"
  done
}

# The word by which programs of this file are called on a node.
WRAP_PYTHON='umask 077
printf "#!/bin/sh\nPYTHONPATH=%s/lib PYTHONSAFEPATH=1 PYTHONNOUSERSITE=1 PYTHONDONTWRITEBYTECODE=1 exec %s \"\$@\"\n" "$1" "$2" > "$1/python3.new" &&
chmod 700 "$1/python3.new" && mv "$1/python3.new" "$1/python3" && "$1/python3" -c "import xcat_ha.judge"'

# The pair's lock, the same that xcat-ha takes: one operation at a time. A holder is dead only if its process is proven gone.
take_lock() {
  # Once: it is known again by its whole content.
  [ -n "$lock_text" ] || lock_text=$(lock_words)
  lock_deadline=$(($(uptime_s) + 120)) lock_dropped=
  while :; do
    on "$1" 20 sh -c "$LOCK_TAKE" sh "$RUN_DIR" "$lock_text" </dev/null >"$WORK/lock" 2>"$WORK/err"
    case $? in
      0) LOCKED="$LOCKED $1"; return ;;
      7) ;;
      *) end_with 4 "the pair's lock cannot be taken on $1: $(cat "$WORK/err")" "nothing was changed" "see to it that $1 answers" ;;
    esac
    lock_of=$("$PYTHON" -c 'import json, sys
held = json.load(sys.stdin)
print(*("".join(str(held.get(key) or "?").split()) for key in ("node", "boot_id", "pid", "start_ticks", "id", "operation")))' <"$WORK/lock" 2>/dev/null) || lock_of="? ? ? ? ? ?"
    # Once: one that cannot be removed is in the way.
    if [ "$(cat "$WORK/lock")" != "$lock_dropped" ] && lock_is_dead $lock_of; then lock_dropped=$(cat "$WORK/lock"); continue; fi
    [ "${lock_of##* }" = sync ] && [ "$(uptime_s)" -lt "$lock_deadline" ] ||
      end_with 3 "another operation runs on this pair: $(cat "$WORK/lock")" "nothing was changed" "wait for it; if that process is gone for good, remove $RUN_DIR/lock.json on the nodes"
    sleep 1
  done
}

lock_words() {
  lock_stat=$(cat "/proc/$$/stat")
  lock_ticks=$(set -- ${lock_stat##*) }; echo "${20}")
  printf '{"id": "%s", "operation": "%s", "node": "%s", "host": %s, "pid": %s, "start_ticks": "%s", "boot_id": "%s", "user": %s, "since": %s}' \
    "$ID" "$OPERATION" "$HERE" "$(json "$(hostname)")" "$$" "$lock_ticks" "$(cat /proc/sys/kernel/random/boot_id)" "$(json "$(id -un)")" "$(date +%s)"
}

# lock_is_dead NODE BOOT_ID PID START_TICKS ID OPERATION: and if so, it is taken away.
lock_is_dead() {
  lock_dead=
  case " $DOWN " in *" $1 "*) lock_dead=yes ;; esac
  case " $NODES " in
    *" $1 "*) [ "$(on "$1" 20 sh -c "$LOCK_ALIVE" sh "$2" "$3" "$4" </dev/null 2>/dev/null)" != dead ] || lock_dead=yes ;;
  esac
  [ -n "$lock_dead" ] && [ "$5" != "?" ] || return 1
  for lock_host in $NODES; do
    on "$lock_host" 20 sh -c "$LOCK_DROP" sh "$RUN_DIR/lock.json" "$(cat "$WORK/lock")" </dev/null
  done
  return 0 # a node that never had it needs no removal
}

give_back() {
  ending_code=$?
  trap '' INT TERM
  [ -z "$BEGUN" ] || [ "$ending_code" -eq 0 ] || {
    case $ending_code in 5) how=interrupted ;; *) how=failed ;; esac
    record end ", \"outcome\": \"$how\", \"message\": $(json "${ending:-it ended unexpectedly}")"
  }
  [ -z "$BEGUN" ] || mirror
  for lock_host in $LOCKED; do
    on "$lock_host" 20 sh -c "$LOCK_DROP" sh "$RUN_DIR/lock.json" "$lock_text" </dev/null >/dev/null 2>&1
  done
  for lock_host in $NODES; do
    [ "$lock_host" = "$HERE" ] || sh -c "$SSH_SCRIPT" "$lock_host" "$WORK/c-$lock_host" "" -O exit </dev/null >/dev/null 2>&1
  done
  exit "$ending_code"
}

# The other node learns what was done, for the day when this one is gone.
mirror() {
  for mirror_host in $NODES; do
    [ "$mirror_host" = "$HERE" ] || on "$mirror_host" 20 sh -c 'umask 077; mkdir -p "${1%/*}" && cat >"$1.new" && sync -f "$1.new" && mv "$1.new" "$1"' sh "$JOURNAL" <"$JOURNAL" >/dev/null 2>&1 ||
      say "the journal could not be copied to $mirror_host"
  done
}

# A run that was not finished goes on; one that was finished, or given up, does not begin again.
look_back() {
  RESUMED=
  for look_host in $NODES; do
    if [ "$look_host" = "$HERE" ] || [ -f "$JOURNAL" ]; then continue; fi
    on "$look_host" 20 test -f "$JOURNAL" </dev/null
    case $? in
      0) end_with 3 "this was begun on $look_host" "nothing was changed" "go on there: sh $0" ;;
      1) ;;
      *) end_with 4 "cannot tell whether this was begun on $look_host" "nothing was changed" "see to it that $look_host answers" ;;
    esac
  done
  [ -f "$JOURNAL" ] || return 0
  case $(grep '"event"' "$JOURNAL" | tail -n 1) in
    *'"event": "end"'*'"outcome": "done"'*) say "this was done already, see $JOURNAL"; exit 0 ;;
    *'"event": "end"'*'"outcome": "abandoned"'*) end_with 3 "this was given up by xcat-ha abandon" "nothing was changed" "export a new runbook" ;;
  esac
  RESUMED=yes
  printf '\n' >>"$JOURNAL"
}

main() {
  LOG= ending= LOCKED= lock_text= BEGUN= asked_to_stop= CHECK_ONLY= YES= confirmed= loss_allowed=
  WORK=$STATE_DIR/runbook/$ID
  JOURNAL=$STATE_DIR/journal/$ID.jsonl
  PYTHON=$WORK/python3
  while [ $# -gt 0 ]; do
    case $1 in
      --check) CHECK_ONLY=yes ;;
      --yes|-y) YES=yes ;;
      --confirm-down) confirmed=${2:-}; [ $# -lt 2 ] || shift ;;
      --allow-data-loss) loss_allowed=yes ;;
      *) echo "usage: sh $0 [--check] [--yes] $USAGE" >&2; exit 2 ;;
    esac
    shift
  done
  [ "$(id -u)" -eq 0 ] || end_with 3 "this has to be run by root" "nothing was changed" "become root"
  HERE=$(cat "$NODE_ID_FILE" 2>/dev/null)
  case " $NODES " in
    *" $HERE "*) ;;
    *) end_with 3 "this machine is none of: $NODES" "nothing was changed" "run it on one of them; $NODE_ID_FILE says which one a machine is" ;;
  esac
  [ -n "$DOWN" ] || [ -z "$confirmed$loss_allowed" ] || { echo "usage: sh $0 [--check] [--yes]" >&2; exit 2; }
  [ -z "$DOWN" ] || [ -n "$CHECK_ONLY" ] || [ "$confirmed $loss_allowed" = "$DOWN yes" ] ||
    end_with 3 "this takes the role without $DOWN; what was not copied is lost" "nothing was changed" "say so: sh $0 --confirm-down $DOWN --allow-data-loss"
  for need in timeout flock ssh tar sed sync; do
    command -v "$need" >/dev/null || end_with 3 "$need is not installed here" "nothing was changed" "install it"
  done
  mkdir -p -m 700 "$STATE_DIR" "$STATE_DIR/runbook" "$WORK" || end_with 1 "$WORK cannot be made" "nothing was changed" "make room there"
  LOG=$WORK/log
  summary
  if [ -t 0 ] && [ -z "$YES$CHECK_ONLY" ]; then
    printf 'Go on? [y/N] '
    read -r answer || answer=
    case $answer in y|Y|yes) ;; *) end_with 3 "not confirmed" "nothing was changed" "answer y, or give --yes" ;; esac
  fi
  # Ctrl-C is honoured between commands; a terminal that goes away is not in the way.
  trap 'asked_to_stop=yes' INT TERM
  trap '' HUP
  trap give_back EXIT
  prepare
  for lock_node in $NODES; do take_lock "$lock_node"; done
  for lock_node in $NODES; do
    on "$lock_node" 110 flock -w 90 -x "$COMMANDS_LOCK" true </dev/null
    case $? in
      0) ;;
      1) end_with 3 "a command of an earlier operation still runs on $lock_node" "nothing was changed" "fuser -v $COMMANDS_LOCK there shows it" ;;
      *) end_with 4 "cannot tell whether a command of an earlier operation still runs on $lock_node" "nothing was changed" "see to it that $lock_node answers" ;;
    esac
  done
  look_back
  REFUSAL=3 STATE="nothing was changed now"
  if [ -n "$RESUMED" ]; then
    still_ours
    [ -z "$CHECK_ONLY" ] || { say "this run would go on with what was begun"; exit 0; }
    say "going on with what was begun before"
    BEGUN=yes
    record resumed ", \"host\": \"$HERE\""
  else
    before
    [ -z "$CHECK_ONLY" ] || { say "everything that has to hold holds; nothing was changed"; exit 0; }
    [ -z "$asked_to_stop" ] || end_with 5 "stopped on request" "nothing was changed" "run this file again"
    mkdir -p -m 700 "${JOURNAL%/*}"
    BEGUN=yes
    record begin "$JOURNAL_BEGIN, \"host\": \"$HERE\", \"user\": $(json "$(id -un)"), \"pid\": $$"
    record site "$JOURNAL_SITE"
  fi
  phases
  record end ', "outcome": "done", "message": "done by a runbook"'
  say "done; $JOURNAL says what. $AFTERWARDS"
}
