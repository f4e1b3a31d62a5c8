/* SPDX-License-Identifier: Apache-2.0 OR MIT */

/*
 * evering-pin - runs a command on CPUs and memory nodes chosen by the machine's topology.
 *
 *	options      the command line
 *	machine      the machine as this process sees it
 *	lists        "0,2-5", "!l3:0": to sets of CPUs or nodes
 *	plan         from machine and request to who goes where; in it,
 *	strategies     the five ways to choose
 *	apply        makes a plan true and reads it back; through
 *	kernel         the system calls
 *	report       text and JSON
 *	numbers, failure   what all of them use
 *
 * Machine and plan are plain data and the way from one to the other asks the system
 * nothing: --dry-run with HWLOC_SYNTHETIC shows the plan for any machine.
 */

#include "apply.hpp"
#include "lists.hpp"
#include "options.hpp"
#include "report.hpp"

#include <evering/version.h>

#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <exception>
#include <iostream>

using namespace pin;

namespace
{

/* Thread names and arguments need not be UTF-8. */
std::string json_text(const nlohmann::ordered_json &json, int indent)
{
	return json.dump(indent, ' ', false,
			 nlohmann::ordered_json::error_handler_t::replace) +
	       '\n';
}

void print(const std::string &out)
{
	std::cout << out << std::flush;
	if (!std::cout)
		throw failure("cannot write to standard output");
}

request resolve(const machine &machine, const options &options)
{
	request out;

	out.how = options.how;
	out.count = options.count;
	out.pairs = options.pairs;
	out.smt = options.smt;
	if (options.cpus) {
		out.cpus = parse_cpus(machine, "--cpus ", *options.cpus);
		out.cpus_list = *options.cpus;
	}
	if (options.memory) {
		out.memory = memory_wish{*options.memory, std::nullopt};
		if (options.memory_list)
			out.memory->nodes = parse_nodes(
				machine, text("--memory ", name_of(*options.memory), '='),
				*options.memory_list);
	}
	return out;
}

/* --show and --dry-run. */
void tell(const machine &machine, const options &options)
{
	std::vector<thread> threads;
	nlohmann::ordered_json json;
	std::string words;

	if (options.process)
		threads = threads_of(*options.process);
	if (options.show) {
		json = {{"version", 1}, {"machine", machine_json(machine)}};
		words = machine_text(machine);
	}
	if (options.chooses()) {
		request request = resolve(machine, options);
		plan plan = make_plan(machine, request);
		auto planned = plan_json(machine, plan,
					 options.process ? &threads : nullptr);

		if (options.show)
			json["plan"] = planned;
		else
			json = planned;
		words += text(options.show ? "\n" : "",
			      plan_text(machine, request, plan, threads));
	}
	print(options.json ? json_text(json, 2) : words);
}

[[noreturn]] void execute(const options &options, const plan &plan)
{
	const char *name = options.command[0];

	if (!plan.environment.empty() &&
	    setenv("EVERING_CPUS", plan.environment.c_str(), 1) < 0)
		throw std::bad_alloc();
	execvp(name, options.command.data());

	int error = errno;
	throw failure(text("cannot run '", name, "': ", std::strerror(error)),
		      error == ENOENT ? EXIT_NOT_FOUND : EXIT_NOT_RUN);
}

void apply(const machine &machine, const options &options)
{
	if (machine.foreign)
		throw failure(text("the topology is not this machine's, but that of ",
				   machine.topology,
				   ": only --show and --dry-run are possible"));

	request request = resolve(machine, options);
	plan plan = make_plan(machine, request);
	std::vector<thread> threads;
	outcome got;

	if (options.process) {
		threads = threads_of(*options.process);
		got = apply_to_process(machine, plan, *options.process);
	} else {
		got = apply_to_self(plan);
	}
	if (options.json) {
		auto json = plan_json(machine, plan,
				      options.process ? &threads : nullptr);

		json["got"] = outcome_json(got);
		if (options.process)
			print(json_text(json, 2));
		else
			std::cerr << json_text(json, -1);
	} else if (!options.quiet) {
		std::cerr << outcome_text(machine, request, plan, got);
	}
	if (!options.process)
		execute(options, plan);
}

void run(int argc, char **argv)
{
	options options = parse_options(argc, argv);

	if (options.help)
		return print(help_text);
	if (options.version)
		return print("evering-pin " EVR_VERSION_STRING "\n");

	machine machine = load_machine();
	if (options.show || options.dry_run)
		tell(machine, options);
	else
		apply(machine, options);
}

} // namespace

int main(int argc, char **argv)
{
	try {
		run(argc, argv);
		return EXIT_DONE;
	} catch (const usage_failure &error) {
		std::cerr << text("evering-pin: ", error.what(),
				  "\nTry 'evering-pin --help'.\n");
		return error.status;
	} catch (const failure &error) {
		std::cerr << text("evering-pin: ", error.what(), '\n');
		return error.status;
	} catch (const std::exception &error) {
		std::cerr << text("evering-pin: ", error.what(), '\n');
		return EXIT_PIN_FAILED;
	}
}
