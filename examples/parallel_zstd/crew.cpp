/* SPDX-License-Identifier: Apache-2.0 OR MIT */

/* crew.cpp - fork, kill, waitpid. */

#include "crew.hpp"

#include "failure.hpp"
#include "worker.hpp"

#include <cerrno>
#include <chrono>
#include <csignal>
#include <cstdio>
#include <thread>

#include <sys/wait.h>
#include <unistd.h>

namespace parallel_zstd
{
namespace
{

constexpr std::uint32_t deaths_in_vain_max = 50;
constexpr std::uint32_t kills_in_vain_max = 1000;
constexpr std::chrono::milliseconds farewell{2000};

/* Waits for a child that is known to end. */
int wait_for(pid_t pid)
{
	int status = 0;

	while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
		;
	return status;
}

std::string cause(int status)
{
	if (WIFSIGNALED(status))
		return std::string("killed by signal ") +
		       std::to_string(WTERMSIG(status)) + " (" +
		       strsignal(WTERMSIG(status)) + ")";
	return "with exit status " + std::to_string(WEXITSTATUS(status));
}

} // namespace

crew::crew(std::uint32_t size, int region_fd, const seats &where)
	: region_fd_(region_fd), seats_(where)
{
	members_.reserve(size);
	try {
		for (std::uint32_t seat = 0; seat < size; seat++)
			start(seat);
	} catch (...) {
		for (const member &one : members_)
			kill(one.pid, SIGKILL);
		throw;
	}
}

crew::~crew()
{
	for (const member &one : members_)
		kill(one.pid, SIGKILL);
	for (const member &one : members_)
		wait_for(one.pid);
}

void crew::start(std::uint32_t seat)
{
	const pid_t parent = getpid();

	/* What is buffered would be written twice. */
	std::fflush(nullptr);
	pid_t pid = fork();
	if (pid < 0)
		system_failure("cannot start a worker process", errno,
			       "choose fewer --workers, or raise the limit (ulimit -u)");
	if (pid == 0)
		/* Not exit(): what the parent has opened is not ours to close. */
		_exit(work(region_fd_, parent, seats_, seat));
	members_.push_back({pid, seat});
}

void crew::bury(std::size_t index, int status)
{
	members_[index] = members_.back();
	members_.pop_back();
	if (WIFEXITED(status))
		throw failure("a worker ended " + cause(status) + " before its time");
	if (++deaths_in_vain_ > deaths_in_vain_max)
		throw failure(std::to_string(deaths_in_vain_) +
			      " workers in a row have died "
			      "without compressing anything, the last one " +
			      cause(status));
}

std::uint32_t crew::replace_ended()
{
	std::vector<std::uint32_t> left;

	for (std::size_t i = 0; i < members_.size();) {
		const member one = members_[i];
		int status;

		if (waitpid(one.pid, &status, WNOHANG) == one.pid) {
			bury(i, status);
			left.push_back(one.seat);
		} else {
			i++;
		}
	}
	for (std::uint32_t seat : left)
		start(seat);
	return static_cast<std::uint32_t>(left.size());
}

void crew::kill_random()
{
	if (++kills_in_vain_ > kills_in_vain_max)
		throw failure("no chunk was done between " +
			      std::to_string(kills_in_vain_max) +
			      " kills: raise --kill-every, or lower --chunk or --level");

	std::uniform_int_distribution<std::size_t> any(0, members_.size() - 1);
	std::size_t index = any(random_);
	const member victim = members_[index];

	kill(victim.pid, SIGKILL);
	wait_for(victim.pid);
	members_[index] = members_.back();
	members_.pop_back();
	start(victim.seat);
}

void crew::dismiss()
{
	auto until = std::chrono::steady_clock::now() + farewell;

	while (!members_.empty() && std::chrono::steady_clock::now() < until) {
		std::erase_if(members_, [](const member &one) {
			return waitpid(one.pid, nullptr, WNOHANG) == one.pid;
		});
		if (!members_.empty())
			std::this_thread::sleep_for(std::chrono::milliseconds(1));
	}
}

} // namespace parallel_zstd
