/* SPDX-License-Identifier: Apache-2.0 OR MIT */
#ifndef PARALLEL_ZSTD_OPTIONS_HPP
#define PARALLEL_ZSTD_OPTIONS_HPP

/* options.hpp - the command line. */

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>

namespace parallel_zstd
{

struct options {
	std::string input = "-"; /* "-": standard input */
	std::string output;	 /* "-": standard output */
	std::uint32_t workers;	 /* processes */
	std::uint32_t window;	 /* requests in flight at once */
	std::size_t chunk_bytes = std::size_t{1} << 20;
	int level = 3;
	std::optional<std::chrono::milliseconds> kill_every;
	bool huge_pages = false;
	bool quiet = false;
};

/* Nothing when --help or --version was answered. Throws usage_failure. */
std::optional<options> parse_options(int argc, char **argv);

} // namespace parallel_zstd

#endif
