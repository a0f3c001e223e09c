package conns

// leastConnections is what a port has room for however few files the process may open.
const leastConnections = 16

// Limit returns most, or less where the process may open few files: ports together take no more than half of them, as the store and
// deliveries need some, too. share is this port's part of that half, from 0 to 1.
func Limit(most int, share float64) int {
	return limit(most, share, filesAllowed())
}

func limit(most int, share float64, files uint64) int {
	if files == 0 {
		return most
	}
	if room := float64(files) / 2 * share; room < float64(most) {
		return max(int(room), leastConnections)
	}
	return most
}
