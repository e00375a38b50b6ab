# SPDX-License-Identifier: Apache-2.0
check_PROGRAMS += tests/unit/simulation/test_alignment tests/unit/simulation/test_json_difference tests/unit/simulation/test_trial
tests_unit_simulation_test_alignment_SOURCES = tests/unit/simulation/test_alignment.c
tests_unit_simulation_test_alignment_LDADD = $(TEST_LIBS)
tests_unit_simulation_test_json_difference_SOURCES = tests/unit/simulation/test_json_difference.c
tests_unit_simulation_test_json_difference_LDADD = $(TEST_LIBS)
tests_unit_simulation_test_trial_SOURCES = tests/unit/simulation/test_trial.c
tests_unit_simulation_test_trial_LDADD = $(TEST_LIBS)
