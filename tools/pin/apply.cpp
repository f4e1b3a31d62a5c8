/* SPDX-License-Identifier: Apache-2.0 OR MIT */

/* apply.cpp - see apply.hpp. */

#include "apply.hpp"

#include "kernel.hpp"

#include <numaif.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <charconv>
#include <filesystem>
#include <fstream>
#include <set>
#include <system_error>

namespace pin
{

namespace
{

/* A process that makes threads faster than they can be set is not pursued for ever. */
constexpr int PASSES_MAX = 100;

/* ---- memory ---------------------------------------------------------------------- */

int mode_of(const memory_plan &memory)
{
	switch (memory.policy) {
	case memory_policy::bind:
		return MPOL_BIND;
	case memory_policy::interleave:
		return MPOL_INTERLEAVE;
	case memory_policy::preferred:
		/* Several are possible since Linux 5.15. */
		return memory.nodes.count() == 1 ? MPOL_PREFERRED : MPOL_PREFERRED_MANY;
	}
	return MPOL_DEFAULT;
}

std::string in_words(const memory_plan &memory)
{
	return text("memory ", name_of(memory.policy), ' ', memory.nodes.list());
}

void apply_memory(const memory_plan &memory)
{
	try {
		kernel::set_memory_policy(mode_of(memory), memory.nodes);
	} catch (const std::system_error &error) {
		throw failure(text(in_words(memory), ": the kernel refuses: ",
				   error.code().message()));
	}
	auto got = kernel::memory_policy();
	if (got.mode != mode_of(memory))
		throw failure(text("asked for ", in_words(memory),
				   ", got another policy (mode ", got.mode, ')'));
	if (got.nodes != memory.nodes)
		throw failure(text("asked for ", in_words(memory), ", got ",
				   got.nodes.named("node")));
}

/* ---- threads of a process -------------------------------------------------------- */

std::filesystem::path process_path(pid_t process)
{
	return text("/proc/", process);
}

/* Name and state; false if the thread is no more. The name is in parentheses, and may
 * hold some itself. */
bool read_stat(const std::filesystem::path &thread, std::string &name, char &state)
{
	std::ifstream file(thread / "stat");
	std::string line;

	/* All of it, as a name may hold newlines too. Reads of a thread that ends just
	 * now fail, which getline() leaves at an empty line, and an iterator throws. */
	std::getline(file, line, '\0');
	auto open = line.find('(');
	auto close = line.rfind(')');

	if (open == line.npos || close == line.npos || close + 2 >= line.size())
		return false;
	name = line.substr(open + 1, close - open - 1);
	state = line[close + 2];
	return true;
}

/* "it belongs to user 0, this is user 1000 without CAP_SYS_NICE" */
std::string owners(pid_t process)
{
	struct stat status;
	auto path = process_path(process);

	if (stat(path.c_str(), &status) < 0)
		return "it is another user's";
	return text("it belongs to user ", status.st_uid, ", this is user ", geteuid(),
		    " without CAP_SYS_NICE");
}

std::string thread_name(pid_t process, const thread &thread)
{
	return text("thread ", thread.id, " (", thread.name, ") of process ", process);
}

[[noreturn]] void refuse(pid_t process, const thread &thread, const std::string &what,
			 const std::system_error &error)
{
	auto start = text("cannot ", what, ' ', thread_name(process, thread), ": ");

	if (error.code() == std::errc::operation_not_permitted)
		throw failure(start + owners(process));
	if (error.code() == std::errc::invalid_argument)
		throw failure(text(start, "its cpuset has none of these, or it is the "
					  "kernel's; it stays on ",
				   thread.cpus.named("CPU")));
	throw failure(start + error.code().message());
}

/* That a thread is no more does not matter. */
void set_thread(pid_t process, const thread &thread, const number_set &cpus)
{
	try {
		kernel::set_thread_cpus(thread.id, cpus);
		auto got = kernel::thread_cpus(thread.id);

		if (got != cpus)
			throw failure(text("asked for ", cpus.named("CPU"), " for ",
					   thread_name(process, thread), ", got ",
					   got.named("CPU")));
	} catch (const std::system_error &error) {
		if (error.code() != std::errc::no_such_process)
			refuse(process, thread, text("give ", cpus.named("CPU"), " to"),
			       error);
	}
}

/* Until a pass finds no thread that is new or wrongly set: a thread that is created by
 * one not yet set starts out as its creator was. Returns what that pass read. */
std::vector<thread> set_threads(pid_t process, const number_set &cpus)
{
	std::set<pid_t> known;

	for (int pass = 0; pass < PASSES_MAX; pass++) {
		auto threads = threads_of(process);
		bool settled = true;

		for (const auto &each : threads)
			if (known.insert(each.id).second || each.cpus != cpus) {
				set_thread(process, each, cpus);
				settled = false;
			}
		if (settled)
			return threads;
	}
	throw failure(text("process ", process, " does not settle: after ", PASSES_MAX,
			   " passes it still has new threads, or threads on other CPUs"));
}

/* ---- pages of a process ---------------------------------------------------------- */

struct page_places {
	page_count pages = {0, 0};
	std::size_t stuck = 0; /* elsewhere, and nobody else's */
};

/* "N1=23": 23 pages on node 1. */
bool parse_pages(const std::string &word, unsigned &node, std::size_t &count)
{
	auto equals = word.find('=');
	const char *end = word.data() + word.size();

	return word.starts_with('N') && equals != word.npos &&
	       std::from_chars(word.data() + 1, word.data() + equals, node).ptr ==
		       word.data() + equals &&
	       std::from_chars(word.data() + equals + 1, end, count).ptr == end;
}

/* A line for each mapping. "mapmax" is there if other processes map some of its pages. */
page_places count_pages(pid_t process, const number_set &nodes)
{
	std::ifstream file(process_path(process) / "numa_maps");
	page_places places;
	std::string line;

	if (!file || (file.peek(), file.bad()))
		throw failure(text("cannot read where process ", process,
				   " has its pages: ", owners(process)));
	while (std::getline(file, line)) {
		std::istringstream words(line);
		bool shared = line.find(" mapmax=") != line.npos;
		std::size_t elsewhere = 0;

		for (std::string word; words >> word;) {
			unsigned node = 0;
			std::size_t count = 0;

			if (!parse_pages(word, node, count))
				continue;
			(nodes.has(node) ? places.pages.wanted : elsewhere) += count;
		}
		places.pages.elsewhere += elsewhere;
		places.stuck += shared ? 0 : elsewhere;
	}
	return places;
}

page_count move_pages(const machine &machine, pid_t process, const memory_plan &memory)
{
	number_set others;

	for (const auto &node : machine.nodes)
		if (!memory.nodes.has(node.number))
			others.add(node.number);
	try {
		if (!others.empty())
			kernel::migrate_pages(process, others, memory.nodes);
	} catch (const std::system_error &error) {
		throw failure(text("cannot move the pages of process ", process, " to ",
				   memory.nodes.named("node"), ": ",
				   error.code() == std::errc::operation_not_permitted
					   ? owners(process)
					   : error.code().message()));
	}
	auto [pages, stuck] = count_pages(process, memory.nodes);
	if (stuck)
		throw failure(text("asked for the memory of process ", process, " on ",
				   memory.nodes.named("node"), ", but ", stuck,
				   " of its ", pages.wanted + pages.elsewhere,
				   " pages are elsewhere"));
	return pages;
}

} // namespace

std::vector<thread> threads_of(pid_t process)
{
	std::vector<thread> threads;
	std::error_code error;
	std::filesystem::directory_iterator tasks(process_path(process) / "task", error);

	if (error)
		throw failure(text("there is no process ", process));
	for (; !error && tasks != std::filesystem::directory_iterator();
	     tasks.increment(error)) {
		thread each = {std::stoi(tasks->path().filename().string()), "", {}};
		char state;

		if (!read_stat(tasks->path(), each.name, state) || state == 'Z' ||
		    state == 'X')
			continue;
		try {
			each.cpus = kernel::thread_cpus(each.id);
		} catch (const std::system_error &gone) {
			if (gone.code() == std::errc::no_such_process)
				continue;
			refuse(process, each, "read the CPUs of", gone);
		}
		threads.push_back(each);
	}
	if (threads.empty())
		throw failure(text("process ", process, " has ended"));
	std::sort(threads.begin(), threads.end(),
		  [](const auto &a, const auto &b) { return a.id < b.id; });
	return threads;
}

outcome apply_to_self(const plan &plan)
{
	outcome got;

	if (plan.cpus_chosen)
		try {
			kernel::set_thread_cpus(0, plan.cpus);
		} catch (const std::system_error &error) {
			throw failure(text("cannot run on ", plan.cpus.named("CPU"), ": ",
					   error.code().message()));
		}
	got.cpus = kernel::thread_cpus(0);
	if (plan.cpus_chosen && got.cpus != plan.cpus)
		throw failure(text("asked for ", plan.cpus.named("CPU"), ", got ",
				   got.cpus.named("CPU"), ": COMMAND is not run"));
	if (plan.memory) {
		apply_memory(*plan.memory);
		got.memory = plan.memory;
	}
	return got;
}

outcome apply_to_process(const machine &machine, const plan &plan, pid_t process)
{
	auto threads = plan.cpus_chosen ? set_threads(process, plan.cpus)
					: threads_of(process);
	outcome got;

	got.threads = threads.size();
	for (const auto &each : threads)
		got.cpus |= each.cpus;
	if (plan.memory) {
		got.pages = move_pages(machine, process, *plan.memory);
		got.memory = plan.memory;
	}
	return got;
}

} // namespace pin
