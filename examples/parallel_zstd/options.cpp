/* SPDX-License-Identifier: Apache-2.0 OR MIT */

/* options.cpp - the command line, checked value by value. */

#include "options.hpp"

#include "failure.hpp"

#include <algorithm>
#include <charconv>
#include <cstdio>
#include <string_view>

#include <getopt.h>
#include <sched.h>
#include <unistd.h>
#include <zstd.h>

#include <evering/version.h>

namespace parallel_zstd
{
namespace
{

constexpr std::uint32_t workers_max = 256;
constexpr std::uint32_t window_max = 4096;
constexpr std::size_t chunk_min = std::size_t{1} << 10;
constexpr std::size_t chunk_max = std::size_t{32} << 20;
constexpr std::uint32_t kill_every_max = 3'600'000;

constexpr char help[] =
	R"(Usage: evr-zstd [OPTION]... [FILE]

Compresses FILE (standard input without FILE, or when it is '-') with worker processes
that share memory with their parent. What it writes is what 'zstd -d' restores.

  -o, --output OUT    where to; '-' is standard output. Without it FILE.zst, or standard
                      output when the input is standard input. A file of that name is
                      replaced in one step when the new one is complete, and not before.
  --workers N         worker processes, 1 to 256; default: the CPUs this process may use
  --chunk SIZE        input of one frame, 1K to 32M; default 1M
  --level N           of compression, as zstd's own; default 3
  --window N          chunks in work at once, 1 to 4096; default 4 for each worker.
                      Memory is about twice SIZE for each, whatever the input
  --kill-every MS     kill a random worker with SIGKILL every MS milliseconds, and start
                      another: the output stays the same. Also one with each answer,
                      until the first was caught with a chunk in hand
  --huge              keep the chunks in 2 MiB pages
  -q, --quiet         no progress bar and no line of figures
  -h, --help          this text
  --version           the version

SIZE is a number of bytes, or of KiB or MiB with K or M behind it.

At the end a line on standard error: bytes of input and output, MB/s of input (1 MB is
1 000 000 bytes), number of workers, median and 99th percentile of a chunk's time from
submission to its return, workers killed by --kill-every, chunks that came back from dead
workers, CPUs and memory nodes in use, and whether each process has a CPU of its own.

Started by evering-pin --pairs or --count, the parent takes the submitter's CPU and each
worker one of those that are left.

Examples:
  evr-zstd big.iso                               makes big.iso.zst
  tar -c /usr | evr-zstd --level 9 -o usr.tar.zst
  evr-zstd big.iso -o x.zst --kill-every 50      the same bytes, with violence

Exit status: 0 done, 1 it failed and there is nothing new named OUT, 2 wrong usage.
)";

/* A whole number with nothing behind it but a suffix, if those are allowed. */
template <typename T>
T parse_number(std::string_view name, std::string_view text, T min, T max, bool suffixes)
{
	std::string_view digits = text;
	unsigned shift = 0;

	if (suffixes && !digits.empty()) {
		switch (digits.back()) {
		case 'k':
		case 'K':
			shift = 10;
			break;
		case 'm':
		case 'M':
			shift = 20;
			break;
		}
		if (shift)
			digits.remove_suffix(1);
	}

	long long number = 0;
	const char *end = digits.data() + digits.size();
	auto [rest, error] = std::from_chars(digits.data(), end, number);
	auto low = static_cast<long long>(min), high = static_cast<long long>(max);
	if (error != std::errc{} || rest != end || number > (high >> shift) ||
	    number * (1LL << shift) < low) {
		std::string range =
			suffixes && low % 1024 == 0
				? std::to_string(low >> 10) + "K to " +
					  std::to_string(high >> 20) + "M"
				: std::to_string(low) + " to " + std::to_string(high);
		throw usage_failure(std::string(name) + " '" + std::string(text) +
				    "' is not possible: give a number from " + range);
	}
	return static_cast<T>(number * (1LL << shift));
}

std::uint32_t cpus_allowed()
{
	cpu_set_t set;

	if (sched_getaffinity(0, sizeof(set), &set) < 0)
		return 1;
	return static_cast<std::uint32_t>(std::max(1, CPU_COUNT(&set)));
}

enum {
	opt_workers = 256,
	opt_chunk,
	opt_level,
	opt_window,
	opt_kill,
	opt_huge,
	opt_version
};

constexpr option long_options[] = {
	{"output", required_argument, nullptr, 'o'},
	{"workers", required_argument, nullptr, opt_workers},
	{"chunk", required_argument, nullptr, opt_chunk},
	{"level", required_argument, nullptr, opt_level},
	{"window", required_argument, nullptr, opt_window},
	{"kill-every", required_argument, nullptr, opt_kill},
	{"huge", no_argument, nullptr, opt_huge},
	{"quiet", no_argument, nullptr, 'q'},
	{"help", no_argument, nullptr, 'h'},
	{"version", no_argument, nullptr, opt_version},
	{nullptr, 0, nullptr, 0},
};

void settle_output(options &result)
{
	if (result.output.empty())
		result.output = result.input == "-" ? "-" : result.input + ".zst";
	if (result.output == "-" && isatty(STDOUT_FILENO))
		throw usage_failure("compressed bytes are nothing for a terminal: "
				    "give a file with -o, or redirect standard output");
}

} // namespace

std::optional<options> parse_options(int argc, char **argv)
{
	options result;
	std::uint32_t window = 0;
	int found;

	result.workers = std::min(cpus_allowed(), workers_max);
	opterr = 0;
	while ((found = getopt_long(argc, argv, ":o:qh", long_options, nullptr)) != -1) {
		switch (found) {
		case 'o':
			if (!*optarg)
				throw usage_failure(
					"-o '' names no file: give one, or '-'");
			result.output = optarg;
			break;
		case opt_workers:
			result.workers = parse_number<std::uint32_t>(
				"--workers", optarg, 1, workers_max, false);
			break;
		case opt_chunk:
			result.chunk_bytes = parse_number<std::size_t>(
				"--chunk", optarg, chunk_min, chunk_max, true);
			break;
		case opt_level:
			result.level =
				parse_number<int>("--level", optarg, ZSTD_minCLevel(),
						  ZSTD_maxCLevel(), false);
			break;
		case opt_window:
			window = parse_number<std::uint32_t>("--window", optarg, 1,
							     window_max, false);
			break;
		case opt_kill:
			result.kill_every = std::chrono::milliseconds(
				parse_number<std::uint32_t>("--kill-every", optarg, 1,
							    kill_every_max, false));
			break;
		case opt_huge:
			result.huge_pages = true;
			break;
		case 'q':
			result.quiet = true;
			break;
		case 'h':
			std::fputs(help, stdout);
			return std::nullopt;
		case opt_version:
			std::printf("evr-zstd %s, zstd %s\n", evr_version(),
				    ZSTD_versionString());
			return std::nullopt;
		case ':':
			throw usage_failure(std::string(argv[optind - 1]) +
					    " wants a value; see --help");
		default:
			throw usage_failure("there is no option '" +
					    std::string(argv[optind - 1]) +
					    "'; see --help");
		}
	}
	if (argc - optind > 1)
		throw usage_failure(std::string("one FILE at a time: '") + argv[optind] +
				    "' or '" + argv[optind + 1] + "'?");
	if (optind < argc)
		result.input = argv[optind];
	if (result.input.empty())
		throw usage_failure("'' names no file: give one, or '-'");
	result.window = window ? window : 4 * result.workers;
	settle_output(result);
	return result;
}

} // namespace parallel_zstd
