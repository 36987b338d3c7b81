// Verdicts: opinions of a node's observers → what a quorum holds (DESIGN §7). One step of apply().
#pragma once

#include <string>
#include <vector>

#include "core/applying.h"
#include "core/command.h"

namespace fettle::core {

/// Takes the opinions of one observer; opinions of other revisions, unknown nodes, foreign
/// observers or older sequences are left out.
void take_opinions(Applying& ap, const command::ReportOpinions& report);

/// What of a report is worth an entry: what take_opinions() would take, once it knows the
/// observer's incarnation. An observer tells its whole table to each new leader; most of it the log
/// has.
command::ReportOpinions news_of(const State& state, const command::ReportOpinions& report);

/// Weighs the node's opinions anew; a changed verdict is recorded and told.
void update_verdict(Applying& ap, const std::string& node);

/// How many of the node's observers make a quorum: floor(n/2)+1 of all n, silent ones included, and
/// never below 2 unless the group has one member or the service asks for one observer.
std::size_t quorum_of(const State& state, const NodeState& node);

/// The verdict is one that no quorum of the node's observers of now has a view on: it stands, but
/// it allows no restore, and Fettle takes no node out by it.
bool is_stale(const State& state, const NodeState& node);

/// The observers that hold the verdict, with the age of the fault they saw; for the incident.
std::vector<Vote> votes_of(const State& state, const NodeState& node);

/// True while failures do not count because the node has not passed yet (start_period).
bool is_starting(const State& state, const NodeState& node);

}  // namespace fettle::core
