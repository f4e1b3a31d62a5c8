/* SPDX-License-Identifier: Apache-2.0 OR MIT */
#ifndef PARALLEL_ZSTD_FAILURE_HPP
#define PARALLEL_ZSTD_FAILURE_HPP

/* failure.hpp - what ends the job, as one sentence for the person who started it. */

#include <cstring>
#include <stdexcept>
#include <string>

namespace parallel_zstd
{

/* The job cannot go on: exit status 1. */
struct failure : std::runtime_error {
	using std::runtime_error::runtime_error;
};

/* The command line is wrong: exit status 2. */
struct usage_failure : std::runtime_error {
	using std::runtime_error::runtime_error;
};

/* "WHAT: the system's reason; CURE" */
[[noreturn]] inline void system_failure(const std::string &what, int error,
					const std::string &cure)
{
	throw failure(what + ": " + std::strerror(error) + "; " + cure);
}

} // namespace parallel_zstd

#endif
