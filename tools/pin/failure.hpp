/* SPDX-License-Identifier: Apache-2.0 OR MIT */
#ifndef EVERING_PIN_FAILURE_HPP
#define EVERING_PIN_FAILURE_HPP

/* failure.hpp - how every part says that it cannot: one line, with the value seen and
 * what is possible. main() prints it behind "evering-pin: ". */

#include <sstream>
#include <stdexcept>
#include <string>

namespace pin
{

/* Exit statuses as env(1) has them. */
enum exit_status {
	EXIT_DONE = 0,
	EXIT_PIN_FAILED = 125,
	EXIT_NOT_RUN = 126,
	EXIT_NOT_FOUND = 127,
};

struct failure : std::runtime_error {
	explicit failure(const std::string &text, int status_ = EXIT_PIN_FAILED)
		: std::runtime_error(text), status(status_)
	{
	}

	int status;
};

/* The command line itself is wrong: main() adds where help is. */
struct usage_failure : failure {
	using failure::failure;
};

/* All parts written one behind the other. */
template <class... T>
std::string text(const T &...parts)
{
	std::ostringstream out;

	(out << ... << parts);
	return out.str();
}

/* "1 core", "4 cores". */
inline std::string counted(std::size_t count, const char *noun)
{
	return text(count, ' ', noun, count == 1 ? "" : "s");
}

} // namespace pin

#endif
