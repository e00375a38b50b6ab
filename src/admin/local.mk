# SPDX-License-Identifier: Apache-2.0
liblinkspan_a_SOURCES +=
