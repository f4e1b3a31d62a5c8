/* SPDX-License-Identifier: Apache-2.0 OR MIT */
#ifndef EVERING_PIN_STRATEGIES_HPP
#define EVERING_PIN_STRATEGIES_HPP

/* strategies.hpp - the strategies: from the CPUs to choose among to the chosen. */

#include "plan.hpp"

#include <vector>

namespace pin
{

/* What is chosen as a whole: one CPU of a worker, or two of a pair, the submitter's
 * first. Lower ranks are used up before higher ones. */
struct unit {
	std::vector<const cpu *> cpus;
	unsigned rank;
};

/* Up to `wanted` units, in the order of their indexes; fewer if the strategy cannot make
 * more of what there is. */
std::vector<unit> choose(const machine &machine, strategy how, const number_set &among,
			 bool pairs, bool smt, std::size_t wanted);

} // namespace pin

#endif
