/* SPDX-License-Identifier: Apache-2.0
 *
 * Conformance of the Kafka connector as a source in a consumer group.
 */
#include "tests/conformance/kafka_source_peer.h"

int main(void)
{
	return kafka_source_peer_main("conformance kafka group", "conformance");
}
