// What a caller hands to us, and what the container must not have of it.

#pragma once

#include "common/fd.hpp"
#include "steps/oci/bundle.hpp"
#include "steps/oci/words.hpp"

/// The socket at which the caller waits for the container's terminal, or none.
sys::Fd console_for(const Json& process, const Words& words);

/// Child: starts a session, with a terminal of the container or with the
/// caller's streams.
void leave_session(const Json& process, const sys::Fd& console, bool is_first);

/// Child: closes all descriptors but the standard streams and two of ours that
/// execve(2) closes.
void leave_descriptors(int one, int other);

/// The file of --pid-file, or none. `exec` opens it before setns(2), because it
/// is a file of the host.
sys::Fd open_pid_file(const Words& words);
void write_pid(const sys::Fd& file, pid_t pid);

/// Goes on as a copy of our program that nobody can change, and that no process
/// of the container can trace.
void run_from_a_copy(char** argv);
