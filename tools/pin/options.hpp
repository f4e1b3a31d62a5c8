/* SPDX-License-Identifier: Apache-2.0 OR MIT */
#ifndef EVERING_PIN_OPTIONS_HPP
#define EVERING_PIN_OPTIONS_HPP

/* options.hpp - the command line as the user meant it; lists are still text, as what they
 * mean depends on the machine. */

#include "plan.hpp"

#include <sys/types.h>

#include <optional>
#include <string>
#include <vector>

namespace pin
{

struct options {
	std::optional<std::string> cpus;
	std::optional<strategy> how;
	std::optional<unsigned> count;
	std::optional<unsigned> pairs;
	bool smt = false;
	std::optional<memory_policy> memory;
	std::optional<std::string> memory_list;
	std::optional<pid_t> process;
	bool show = false;
	bool dry_run = false;
	bool json = false;
	bool quiet = false;
	bool help = false;
	bool version = false;
	std::vector<char *> command; /* of argv, and a null pointer; or empty */

	/* Is there something to plan? */
	bool chooses() const
	{
		return cpus || count || pairs || memory;
	}
};

extern const char help_text[];

/* Throws usage_failure. */
options parse_options(int argc, char **argv);

} // namespace pin

#endif
