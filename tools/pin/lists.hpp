/* SPDX-License-Identifier: Apache-2.0 OR MIT */
#ifndef EVERING_PIN_LISTS_HPP
#define EVERING_PIN_LISTS_HPP

/*
 * lists.hpp - the lists of the command line: numactl's grammar and topology words.
 *
 *	list  =  ["!"] ["+"] term {"," term}  |  "all"
 *	term  =  [word ":"] N ["-" M]
 *	word  =  "node" | "package" | "l3" | "core"
 *
 * "!": all that may be used but these. "+": numbers count what may be used, from 0. A
 * number alone stands for itself, and must be usable; a word stands for those of its CPUs
 * that are.
 */

#include "machine.hpp"

#include <string>

namespace pin
{

/* Both throw failure. `written` is what stands before the list on the command line, with
 * the blank or "=" between them, for messages. */
number_set parse_cpus(const machine &machine, const std::string &written,
		      const std::string &list);
number_set parse_nodes(const machine &machine, const std::string &written,
		       const std::string &list);

} // namespace pin

#endif
