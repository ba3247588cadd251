# The environment of every job; jobs on other machines read this file again.
_root=$(cd -P "$(dirname "$(readlink -f "${BASH_SOURCE[0]}")")/../../.." && pwd)
# readlink: path.sh is a link in a recipe.
export PYTHONPATH="${_root}${PYTHONPATH:+:${PYTHONPATH}}"
unset _root
export LC_ALL=C.UTF-8
export PYTHONUNBUFFERED=1
# One thread a process: jobs run side by side, and torch stalls with more threads
# than free cores. Set it for a training that has the machine to itself.
export OMP_NUM_THREADS="${OMP_NUM_THREADS:-1}"
# An activated virtual environment is found by PATH; name another one here:
# PATH="/where/it/is/bin:${PATH}"
