/* SPDX-License-Identifier: Apache-2.0 OR MIT */

/* kernel.cpp - see kernel.hpp. */

#include "kernel.hpp"

#include <numaif.h>
#include <sched.h>

#include <cerrno>
#include <climits>
#include <system_error>

namespace pin::kernel
{

namespace
{

constexpr std::size_t WORD_BITS = sizeof(unsigned long) * CHAR_BIT;
/* More CPUs or nodes than any kernel is built for. */
constexpr std::size_t WORDS_MAX = (std::size_t{1} << 20) / WORD_BITS;

[[noreturn]] void fail(const char *call)
{
	throw std::system_error(errno, std::generic_category(), call);
}

/* A mask shorter than the kernel's own is refused with EINVAL; nobody tells how long that
 * is, so it doubles until the kernel is content. */
template <class Call>
number_set read_mask(const char *name, Call call)
{
	for (std::size_t count = 1024 / WORD_BITS;; count *= 2) {
		std::vector<unsigned long> words(count);

		if (call(words) >= 0)
			return number_set::from_words(words);
		if (errno != EINVAL || count >= WORDS_MAX)
			fail(name);
	}
}

/* The kernel takes one bit less than it is told. */
unsigned long node_bits(const std::vector<unsigned long> &words)
{
	return words.size() * WORD_BITS + 1;
}

} // namespace

number_set thread_cpus(pid_t thread)
{
	return read_mask("sched_getaffinity", [=](std::vector<unsigned long> &words) {
		return sched_getaffinity(thread, words.size() * sizeof(words[0]),
					 reinterpret_cast<cpu_set_t *>(words.data()));
	});
}

void set_thread_cpus(pid_t thread, const number_set &cpus)
{
	auto words = cpus.to_words();

	if (sched_setaffinity(thread, words.size() * sizeof(words[0]),
			      reinterpret_cast<const cpu_set_t *>(words.data())) < 0)
		fail("sched_setaffinity");
}

number_set allowed_nodes()
{
	return read_mask("get_mempolicy", [](std::vector<unsigned long> &words) {
		return get_mempolicy(nullptr, words.data(), words.size() * WORD_BITS,
				     nullptr, MPOL_F_MEMS_ALLOWED);
	});
}

memory_mode memory_policy()
{
	int mode = MPOL_DEFAULT;
	auto nodes = read_mask("get_mempolicy", [&](std::vector<unsigned long> &words) {
		return get_mempolicy(&mode, words.data(), words.size() * WORD_BITS,
				     nullptr, 0);
	});

	return {mode, nodes};
}

void set_memory_policy(int mode, const number_set &nodes)
{
	auto words = nodes.to_words();

	if (set_mempolicy(mode, words.data(), node_bits(words)) < 0)
		fail("set_mempolicy");
}

long migrate_pages(pid_t process, const number_set &from, const number_set &to)
{
	auto old_words = from.to_words();
	auto new_words = to.to_words();

	/* One length for both. */
	old_words.resize(std::max(old_words.size(), new_words.size()));
	new_words.resize(old_words.size());
	long left = ::migrate_pages(process, node_bits(old_words), old_words.data(),
				    new_words.data());
	if (left < 0)
		fail("migrate_pages");
	return left;
}

} // namespace pin::kernel
