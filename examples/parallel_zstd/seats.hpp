/* SPDX-License-Identifier: Apache-2.0 OR MIT */
#ifndef PARALLEL_ZSTD_SEATS_HPP
#define PARALLEL_ZSTD_SEATS_HPP

/* seats.hpp - which process runs where, if evering-pin started us. */

#include <evering/cpu.hpp>

#include <cstdint>
#include <optional>
#include <string>

namespace parallel_zstd
{

/*
 * The parent submits, so it sits on the first submitter's CPU. Workers take the
 * completers' CPUs, one each; those that are left take the submitters', since the parent
 * mostly sleeps; and what is left then runs on any CPU that we were given. Started
 * without evering-pin, all do.
 */
class seats
{
public:
	/* To be called before anybody sits down: remembers what all may use. */
	seats();

	/* The calling process takes its seat. Throws std::system_error. */
	void sit_as_parent() const;
	void sit_as_worker(std::uint32_t number) const;

	/* "cpus=0-1 nodes=0", with " pinned" when each of them has a CPU of its own. */
	std::string line(std::uint32_t workers) const;

private:
	std::optional<int> parent() const;
	std::optional<int> worker(std::uint32_t number) const;
	void sit(std::optional<int> cpu) const;

	evering::number_set all_;
};

} // namespace parallel_zstd

#endif
