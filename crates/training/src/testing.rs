//! What tests of this and other crates need: stores in memory, the contracts that every store
//! must keep, and small valid values. Behind the feature `testing`, never in a product.
//!
//! An adapter runs the contract by handing a macro of its own to
//! [`for_each_store_case!`](crate::for_each_store_case),
//! [`for_each_registry_case!`](crate::for_each_registry_case) and
//! [`for_each_log_case!`](crate::for_each_log_case); every case becomes one test, on a store
//! of its own.

#![expect(clippy::unwrap_used, reason = "a case of the contract fails by panicking")]

pub mod contract;
pub mod log_contract;
mod memory;
mod memory_logs;
mod memory_reads;
mod memory_registry;
mod plugins;
pub mod registry_contract;
pub mod samples;

pub use memory::MemoryStore;
pub use memory_registry::MemoryRegistry;
pub use plugins::MemoryPlugins;

/// Calls `$each! { name, name, … }` with the names of all functions in
/// [`testing::contract`](crate::testing::contract) that are a case.
#[macro_export]
macro_rules! for_each_store_case {
    ($each:ident) => {
        $each! {
            a_fresh_store_answers_and_is_empty,
            the_origin_is_stable,
            an_inserted_job_is_found_equal_in_every_field,
            a_sparse_job_is_found_equal_in_every_field,
            an_insert_writes_bundle_first_event_and_apply_intent,
            a_second_job_of_the_same_name_is_refused_with_the_holder,
            the_same_name_in_another_namespace_is_free,
            a_name_is_free_again_only_after_proof_of_deletion,
            the_same_key_and_body_answer_the_first_job,
            the_same_key_with_another_body_is_refused,
            a_refused_insert_leaves_nothing_behind,
            a_key_is_forgotten_after_a_day_if_its_job_is_gone,
            concurrent_inserts_of_one_name_make_one_job,
            concurrent_inserts_of_one_key_make_one_job,
            a_transition_rewrites_the_row_and_raises_the_version,
            a_stale_transition_changes_nothing,
            concurrent_transitions_of_one_version_let_one_through,
            event_numbers_have_no_gap_and_equal_the_version,
            an_event_holds_phases_time_and_evidence,
            a_terminal_phase_never_changes,
            what_the_user_wants_never_moves_back,
            a_terminal_job_stays_on_record,
            a_deleted_job_is_found_but_not_listed,
            a_zero_byte_in_a_message_is_stored_as_a_replacement,
            a_transition_enqueues_and_settles,
            enqueueing_twice_keeps_one_intent_and_makes_it_due,
            a_stop_removes_a_waiting_apply,
            a_stop_leaves_a_leased_apply,
            an_intent_enqueued_under_a_lease_outlives_its_settlement,
            concurrent_claimers_never_share_an_intent,
            a_claim_takes_urgent_then_important_then_early,
            a_claim_takes_at_most_its_limit,
            a_queued_job_knows_how_many_are_taken_before_it,
            a_claim_takes_one_intent_of_a_job,
            a_job_with_a_leased_intent_yields_no_other,
            an_expired_lease_is_claimable_again,
            a_postponed_intent_keeps_its_attempts_and_due_time,
            only_the_owner_settles_and_postpones,
            waking_makes_postponed_intents_of_that_kind_due,
            waking_a_few_wakes_those_that_go_first,
            a_write_of_an_intent_rings_the_hint,
            a_list_is_newest_first_and_ties_break_by_id,
            a_list_filters,
            pages_cover_every_job_once,
            observed_jobs_are_active_and_applied_oldest_first,
            observed_jobs_are_found_by_their_workloads,
            jobs_at_rest_are_found_by_their_workloads,
            jobs_are_counted_on_each_of_their_clusters,
            attempts_of_the_same_work_are_found_in_their_order,
            earlier_jobs_of_a_name_are_found_newest_first,
            finished_jobs_are_found_longest_over_first,
        }
    };
}

/// [`for_each_store_case!`](crate::for_each_store_case) for the cases in
/// [`testing::registry_contract`](crate::testing::registry_contract).
#[macro_export]
macro_rules! for_each_registry_case {
    ($each:ident) => {
        $each! {
            a_fresh_registry_is_empty,
            a_component_is_kept_byte_for_byte_and_once,
            a_large_component_is_kept,
            signatures_of_a_component_are_kept_once_each,
            what_a_file_last_held_is_noted_until_the_file_is_gone,
            a_route_is_read_back_equal_in_every_field,
            a_stale_change_of_a_route_leaves_route_and_history,
            concurrent_changes_of_one_route_let_one_through,
            events_are_read_back_newest_first_in_pages,
            an_event_without_a_digest_and_with_a_zero_byte_is_recorded,
        }
    };
}

/// [`for_each_store_case!`](crate::for_each_store_case) for the cases in
/// [`testing::log_contract`](crate::testing::log_contract).
#[macro_export]
macro_rules! for_each_log_case {
    ($each:ident) => {
        $each! {
            a_job_nobody_asked_for_has_no_archive,
            the_end_of_an_applied_run_asks_for_its_logs_once,
            the_end_of_a_run_that_was_never_applied_asks_for_nothing,
            a_request_is_due_until_it_is_closed,
            concurrent_claimers_never_share_a_job,
            the_least_tried_then_the_earliest_request_is_taken_first,
            a_log_is_read_back_equal_in_every_field,
            a_log_is_replaced_unless_more_of_it_is_kept,
            old_logs_are_forgotten_and_young_ones_stay,
        }
    };
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::{MemoryRegistry, MemoryStore, contract, log_contract, registry_contract};

    macro_rules! logs_in_memory {
        ($($name:ident),+ $(,)?) => {$(
            #[tokio::test(flavor = "multi_thread", worker_threads = 4)]
            async fn $name() {
                let store = Arc::new(MemoryStore::new("memory"));
                log_contract::$name(store.clone(), store).await;
            }
        )+};
    }

    for_each_log_case!(logs_in_memory);

    macro_rules! in_memory {
        ($($name:ident),+ $(,)?) => {$(
            #[tokio::test(flavor = "multi_thread", worker_threads = 4)]
            async fn $name() {
                contract::$name(Arc::new(MemoryStore::new("memory"))).await;
            }
        )+};
    }

    for_each_store_case!(in_memory);

    macro_rules! registry_in_memory {
        ($($name:ident),+ $(,)?) => {$(
            #[tokio::test(flavor = "multi_thread", worker_threads = 4)]
            async fn $name() {
                registry_contract::$name(Arc::new(MemoryRegistry::default())).await;
            }
        )+};
    }

    for_each_registry_case!(registry_in_memory);
}
