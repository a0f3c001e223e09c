package lazada

// field is a value that some message type's identity, subject or time is made of.
type field uint8

const (
	none field = iota

	// In the envelope.
	envelopeSeller
	envelopeTime
	envelopeSite

	// In data.
	action
	authExpiryTime
	date
	dataTime
	dataSeller
	fulfillmentPackageID
	itemID
	itemIDCamel
	messageID
	notifyTime
	orderStatus
	orderStatusCamel
	pickUpOrderNo
	promotionID
	promotionKind
	purchaseOrderNo
	reverseOrderID
	reverseOrderLineID
	reverseStatus
	reviewID
	selfPosition
	sellerIDCamel
	sendTime
	sessionID
	siteID
	skuID
	state
	status
	statusUpdateTime
	statusUpdateTimeCamel
	syncType
	toPosition
	tradeOrderID
	tradeOrderLineID
	unreadCount
	videoID
	warehouse

	fieldCount
	// optional marks a part of an identity that a message may lack.
	optional field = 0x80
)

// dataField names the fields of data as Lazada's page of each message type does. Some types write them in one way, some in another.
func dataField(name string) field {
	switch name {
	case "action":
		return action
	case "auth_expiry_time":
		return authExpiryTime
	case "date":
		return date
	case "timestamp":
		return dataTime
	case "seller_id":
		return dataSeller
	case "fulfillment_package_id":
		return fulfillmentPackageID
	case "item_id":
		return itemID
	case "itemId":
		return itemIDCamel
	case "message_id":
		return messageID
	case "notifyTime":
		return notifyTime
	case "order_status":
		return orderStatus
	case "orderStatus":
		return orderStatusCamel
	case "pickUpOrderNo":
		return pickUpOrderNo
	case "promotionId":
		return promotionID
	case "promotionType":
		return promotionKind
	case "purchaseOrderNo":
		return purchaseOrderNo
	case "reverse_order_id":
		return reverseOrderID
	case "reverse_order_line_id":
		return reverseOrderLineID
	case "reverse_status":
		return reverseStatus
	case "id":
		return reviewID
	case "self_position":
		return selfPosition
	case "sellerId":
		return sellerIDCamel
	case "send_time":
		return sendTime
	case "session_id":
		return sessionID
	case "site_id":
		return siteID
	case "sku_id":
		return skuID
	case "state":
		return state
	case "status":
		return status
	case "status_update_time":
		return statusUpdateTime
	case "statusUpdateTime":
		return statusUpdateTimeCamel
	case "sync_type":
		return syncType
	case "to_position":
		return toPosition
	case "trade_order_id":
		return tradeOrderID
	case "trade_order_line_id":
		return tradeOrderLineID
	case "unread_count":
		return unreadCount
	case "videoId":
		return videoID
	case "warehouse":
		return warehouse
	default:
		return none
	}
}

// kind is what is known of one message type.
type kind struct {
	// typ is the CloudEvents type.
	typ string
	// subject is what must stay in order; the first that is there counts, and where none is, the seller.
	subject []field
	// key tells one event of this type from another, for one app and seller.
	key []field
	// time is when the event happened: the latest of these, and where none is plausible, the envelope's timestamp.
	time []field
}

// The message types that are known by their fields where there is no envelope to tell.
const (
	promotionType = 11
	sessionType   = 19
)

// productKind is the same for types 3, 4 and 5.
func productKind(typ string) *kind {
	return &kind{
		typ: typ, subject: []field{itemID},
		key: []field{itemID, action, statusUpdateTime}, time: []field{statusUpdateTime},
	}
}

// kinds are the documented message types. The lines of an order, its returns and its parcels share the order as subject, so that
// they stay in order with each other.
var kinds = map[int64]*kind{
	0: { // trade order
		typ: "com.lazada.push.0", subject: []field{tradeOrderID, tradeOrderLineID, reverseOrderID},
		key:  []field{tradeOrderLineID, optional | reverseOrderLineID, orderStatus, statusUpdateTime},
		time: []field{statusUpdateTime},
	},
	1: { // product quality control
		typ: "com.lazada.push.1", subject: []field{itemIDCamel},
		key: []field{itemIDCamel, status, date}, time: []field{date},
	},
	2: { // IM message; status tells a recall from the message
		typ: "com.lazada.push.2", subject: []field{sessionID},
		key: []field{siteID, messageID, status}, time: []field{sendTime},
	},
	3: productKind("com.lazada.push.3"), // product created
	4: productKind("com.lazada.push.4"), // product edited
	5: productKind("com.lazada.push.5"), // product deleted
	6: { // shallow stock
		typ: "com.lazada.push.6", subject: []field{skuID},
		key: []field{skuID, warehouse, envelopeTime},
	},
	7: { // short video
		typ: "com.lazada.push.7", subject: []field{videoID},
		key: []field{videoID, state}, time: []field{dataTime},
	},
	8: { // token expires; the time is the envelope's, as auth_expiry_time lies ahead
		typ: "com.lazada.push.8", subject: []field{dataSeller},
		key: []field{dataSeller, authExpiryTime},
	},
	10: { // reverse order
		typ: "com.lazada.push.10", subject: []field{tradeOrderID, tradeOrderLineID, reverseOrderID},
		key: []field{reverseOrderLineID, reverseStatus, statusUpdateTime}, time: []field{statusUpdateTime},
	},
	promotionType: {
		typ: "com.lazada.push.11", subject: []field{promotionID},
		key: []field{promotionID, notifyTime}, time: []field{notifyTime},
	},
	12: { // category tree: a broadcast, without a seller
		typ: "com.lazada.push.12",
		key: []field{statusUpdateTime}, time: []field{statusUpdateTime},
	},
	13: { // seller status
		typ: "com.lazada.push.13",
		key: []field{envelopeSeller, status, envelopeTime},
	},
	14: { // fulfilment order
		typ: "com.lazada.push.14", subject: []field{tradeOrderID, fulfillmentPackageID},
		key: []field{fulfillmentPackageID, status, statusUpdateTime}, time: []field{statusUpdateTime},
	},
	sessionType: { // a state, not a step: the latest position wins
		typ: "com.lazada.push.19", subject: []field{sessionID},
		key:  []field{sessionID, unreadCount, toPosition, selfPosition},
		time: []field{toPosition, selfPosition},
	},
	21: { // product review
		typ: "com.lazada.push.21", subject: []field{itemID},
		key: []field{reviewID},
	},
	35: { // JIT purchase order
		typ: "com.lazada.push.35", subject: []field{purchaseOrderNo},
		key: []field{purchaseOrderNo, orderStatusCamel, statusUpdateTimeCamel}, time: []field{statusUpdateTimeCamel},
	},
	46: { // JIT pick-up order
		typ: "com.lazada.push.46", subject: []field{pickUpOrderNo},
		key: []field{pickUpOrderNo, orderStatusCamel},
	},
}
