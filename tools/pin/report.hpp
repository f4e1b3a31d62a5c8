/* SPDX-License-Identifier: Apache-2.0 OR MIT */
#ifndef EVERING_PIN_REPORT_HPP
#define EVERING_PIN_REPORT_HPP

/*
 * report.hpp - machine, plan and outcome, as text for people and as JSON for programs.
 *
 * Programs may rely on the JSON: "version" changes when something in it is taken away or
 * means something else.
 */

#include "apply.hpp"

#include <nlohmann/json.hpp>

#include <string>
#include <vector>

namespace pin
{

/* Text: whole lines. */

std::string machine_text(const machine &machine);
/* Everything that --dry-run tells. */
std::string plan_text(const machine &machine, const request &request, const plan &plan,
		      const std::vector<thread> &threads);
/* The few lines for someone who wants COMMAND's output. */
std::string outcome_text(const machine &machine, const request &request, const plan &plan,
			 const outcome &outcome);

/* JSON. `threads` are those of --pid, before. */

nlohmann::ordered_json machine_json(const machine &machine);
nlohmann::ordered_json plan_json(const machine &machine, const plan &plan,
				 const std::vector<thread> *threads);
nlohmann::ordered_json outcome_json(const outcome &outcome);

} // namespace pin

#endif
