/* SPDX-License-Identifier: Apache-2.0 OR MIT */

/* options.cpp - what there is on the command line, and which of it goes together. */

#include "options.hpp"

#include <CLI/CLI.hpp>

#include <limits>
#include <string_view>

namespace pin
{

const char help_text[] =
	"Usage: evering-pin [OPTION]... [--] COMMAND [ARG]...\n"
	"       evering-pin [OPTION]... --pid PID\n"
	"       evering-pin [OPTION]... --show | --dry-run\n"
	"\n"
	"Runs COMMAND, or lets a running process go on, on CPUs and memory nodes chosen\n"
	"by the machine's topology; reads back what the kernel made of it, and fails if\n"
	"that is less than asked.\n"
	"\n"
	"  -c, --cpus LIST       the CPUs to use, or with --count or --pairs to use of\n"
	"  -n, --count N         choose N CPUs\n"
	"  -p, --pairs N         choose N pairs: a submitter's CPU and a completer's\n"
	"  -s, --strategy NAME   how to choose:\n"
	"                          close       share caches, not cores (default)\n"
	"                          smt         share cores\n"
	"                          spread      as far from each other as can be\n"
	"                          same-node   one node, over its L3s\n"
	"                          cross-node  over nodes, also the two of a pair\n"
	"      --smt             use SMT siblings when whole cores run out\n"
	"  -m, --memory POLICY[=LIST]\n"
	"                        bind, interleave or preferred, on nodes LIST; without\n"
	"                        LIST, on the nodes of the chosen CPUs\n"
	"      --pid PID         a running process, all its threads\n"
	"      --show            print the machine, and the plan if there is one\n"
	"      --dry-run         print the plan and why it is so; change nothing\n"
	"      --json            print JSON; with COMMAND on standard error\n"
	"  -q, --quiet           do not print the plan and what was got\n"
	"  -h, --help            print this\n"
	"  -V, --version         print the version\n"
	"\n"
	"LIST: terms with commas between: 3, 2-5, node:0, package:0-1, l3:2, core:4-7.\n"
	"Numbers alone are CPUs, for --memory nodes, as the kernel has them; those of\n"
	"package, l3 and core are the ones that --show prints. all: what this process\n"
	"may use; !LIST: that but LIST; +LIST: numbers count what it may use, from 0.\n"
	"\n"
	"COMMAND finds the roles of the CPUs in EVERING_CPUS, such as\n"
	"'submitter:0,2 completer:1,3'; evr_cpu_pin_role(3) pins a thread to its own.\n"
	"\n"
	"Examples:\n"
	"  evering-pin --pairs 2 --memory bind ./server\n"
	"  evering-pin --pairs 1 --strategy cross-node --dry-run\n"
	"  evering-pin --cpus l3:0 --count 4 --pid 1234\n"
	"\n"
	"Exit status: that of COMMAND; 125 if evering-pin failed, 126 if COMMAND cannot\n"
	"be run, 127 if it is not found.\n";

namespace
{

constexpr unsigned COUNT_MAX = 1U << 20;

unsigned parse_number(const char *option, const std::string &digits, unsigned max)
{
	std::uint64_t number = 0;

	if (digits.empty() || digits.size() > 10 ||
	    digits.find_first_not_of("0123456789") != digits.npos ||
	    (number = std::stoull(digits)) < 1 || number > max)
		throw usage_failure(
			text(option, " '", digits, "': give a number from 1 to ", max));
	return static_cast<unsigned>(number);
}

/* The one of a list of enumerators that has this name. */
template <class List>
auto parse_name(const char *option, const std::string &name, const List &list)
{
	std::string possible;

	for (auto each : list) {
		if (name == name_of(each))
			return each;
		possible += text(possible.empty() ? "" : ", ", name_of(each));
	}
	throw usage_failure(text(option, " '", name, "': there are ", possible));
}

/* As CLI11 fills them in. */
struct raw_options {
	std::string cpus, how, count, pairs, memory, process;
};

void parse_memory(const std::string &value, options &out)
{
	auto equals = value.find('=');

	out.memory = parse_name("--memory", value.substr(0, equals), memory_policies);
	if (equals != value.npos)
		out.memory_list = value.substr(equals + 1);
}

void check_together(const options &options)
{
	bool plans = options.show || options.dry_run;

	if (options.count && options.pairs)
		throw usage_failure("--count and --pairs do not go together: give one");
	if (options.how && !options.count && !options.pairs)
		throw usage_failure(text("--strategy ", name_of(*options.how),
					 " needs --count or --pairs"));
	if (options.smt && !options.count && !options.pairs)
		throw usage_failure("--smt needs --count or --pairs");
	if (options.process && !options.command.empty())
		throw usage_failure(text("--pid ", *options.process, " and COMMAND '",
					 options.command[0],
					 "' do not go together: give one"));
	if (options.process && options.memory &&
	    *options.memory != memory_policy::bind)
		throw usage_failure(text("--memory ", name_of(*options.memory),
					 " with --pid: only bind is possible, which moves"
					 " what is there; the policy for new pages only a"
					 " process itself can set"));
	if (options.show && !options.command.empty())
		throw usage_failure(text("--show runs no COMMAND: leave '",
					 options.command[0], "' away"));
	if (!plans && !options.process && options.command.empty())
		throw usage_failure("no COMMAND: give one, or --pid, --show or "
				    "--dry-run");
	if (!options.show && !options.chooses())
		throw usage_failure("nothing is chosen: give --cpus, --count, --pairs or "
				    "--memory");
}

bool takes_value(const CLI::App &app, const std::string &name)
{
	auto option = app.get_option_no_throw(name);

	return option && option->get_items_expected_max() > 0;
}

/* Of "-qn": the letters up to the first that takes a value, which may follow at once. */
bool wants_next_word(const CLI::App &app, std::string_view word)
{
	if (word.starts_with("--"))
		return word.find('=') == word.npos && takes_value(app, std::string(word));
	for (std::size_t i = 1; i < word.size(); i++)
		if (takes_value(app, text('-', word[i])))
			return i + 1 == word.size();
	return false;
}

/* Where COMMAND begins: behind "--", or at the first word that is neither an option nor
 * an option's value. What comes then may look like our options, and is none of ours. */
int find_command(const CLI::App &app, int argc, char **argv)
{
	int i = 1;

	for (; i < argc; i++) {
		std::string_view word = argv[i];

		if (!word.starts_with('-') || word == "-" || word == "--")
			break;
		bool wants_next = wants_next_word(app, word);
		if ((word.starts_with("--") && word.ends_with('=')) ||
		    (wants_next && i + 1 == argc))
			throw usage_failure(text(word, " lacks its value"));
		i += wants_next;
	}
	return i;
}

void parse(CLI::App &app, int argc, char **argv)
{
	try {
		app.parse(argc, argv);
	} catch (const CLI::ExtrasError &) {
		throw usage_failure(text("there is no option ", app.remaining()[0]));
	} catch (const CLI::ParseError &error) {
		for (auto option : app.get_options())
			if (option->count() > 1)
				throw usage_failure(text(option->get_name(),
							 " is given more than once"));
		throw usage_failure(error.what());
	}
}

} // namespace

options parse_options(int argc, char **argv)
{
	CLI::App app;
	raw_options raw;
	options out;

	app.set_help_flag();
	auto cpus = app.add_option("-c,--cpus", raw.cpus);
	auto how = app.add_option("-s,--strategy", raw.how);
	auto count = app.add_option("-n,--count", raw.count);
	auto pairs = app.add_option("-p,--pairs", raw.pairs);
	auto memory = app.add_option("-m,--memory", raw.memory);
	auto process = app.add_option("--pid", raw.process);
	app.add_flag("--smt", out.smt);
	app.add_flag("--show", out.show);
	app.add_flag("--dry-run", out.dry_run);
	app.add_flag("--json", out.json);
	app.add_flag("-q,--quiet", out.quiet);
	app.add_flag("-h,--help", out.help);
	app.add_flag("-V,--version", out.version);
	int command = find_command(app, argc, argv);
	parse(app, command, argv);
	if (out.help || out.version)
		return out;

	if (command < argc && std::string_view(argv[command]) == "--")
		command++;
	if (command < argc)
		out.command.assign(argv + command, argv + argc + 1);
	if (*cpus)
		out.cpus = raw.cpus;
	if (*how)
		out.how = parse_name("--strategy", raw.how, strategies);
	if (*count)
		out.count = parse_number("--count", raw.count, COUNT_MAX);
	if (*pairs)
		out.pairs = parse_number("--pairs", raw.pairs, COUNT_MAX);
	if (*memory)
		parse_memory(raw.memory, out);
	if (*process)
		out.process = static_cast<pid_t>(parse_number(
			"--pid", raw.process, std::numeric_limits<pid_t>::max()));
	check_together(out);
	if (!out.how && (out.count || out.pairs))
		out.how = strategy::close;
	return out;
}

} // namespace pin
