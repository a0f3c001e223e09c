package tencentim

import "github.com/hookbay/hookbay/receiver/source"

// typePrefix and the command are the CloudEvents type.
const typePrefix = "com.tencent.im."

// field is a value of a callback's body that its attributes are made of.
type field uint8

const (
	none field = iota
	callbackCommand
	fromAccount
	toAccount
	groupID
	topicID
	msgKey
	msgSeq
	msgTime
	eventTime
	reportAccount
	peerAccount
	officialAccount
	requesterAccount
	requestorAccount
	operatorAccount
	ownerAccount
	adminAccount
	// Nested: Info.To_Account, CallInfo.CallId, PairList[0].From_Account.
	infoAccount
	callID
	pairAccount

	fieldCount
	// optional marks a part of an identity that a callback may lack.
	optional field = 0x80
)

// bodyField names the fields of a body as Tencent's page of each command does.
func bodyField(name string) field {
	switch name {
	case "CallbackCommand":
		return callbackCommand
	case "From_Account":
		return fromAccount
	case "To_Account":
		return toAccount
	case "GroupId":
		return groupID
	case "TopicId":
		return topicID
	case "MsgKey":
		return msgKey
	case "MsgSeq":
		return msgSeq
	case "MsgTime":
		return msgTime
	case "EventTime":
		return eventTime
	case "Report_Account":
		return reportAccount
	case "Peer_Account":
		return peerAccount
	case "Official_Account":
		return officialAccount
	case "Requester_Account":
		return requesterAccount
	case "Requestor_Account":
		return requestorAccount
	case "Operator_Account":
		return operatorAccount
	case "Owner_Account":
		return ownerAccount
	case "Admin_Account":
		return adminAccount
	default:
		return none
	}
}

// accounts are whose event it is where it belongs to no group and no conversation; the first that is there counts.
var accounts = [...]field{
	officialAccount, callID, fromAccount, toAccount, infoAccount, pairAccount, reportAccount, requesterAccount, requestorAccount,
	operatorAccount, ownerAccount, adminAccount,
}

// actors are who acted: the tenant of rate limits. The first that is there counts; operators come before those whose message or group it is.
var actors = [...]field{
	operatorAccount, requesterAccount, requestorAccount, fromAccount, reportAccount, infoAccount, pairAccount, adminAccount, ownerAccount,
	officialAccount,
}

// kind is what is known of one command.
type kind struct {
	// typ is the CloudEvents type.
	typ string
	// key tells one event of this command from another, for one app. Where it is empty, the whole body does: a command such as a read
	// receipt or a modified message comes many times for one message.
	key []field
}

var (
	// conversationKey is for the commands that come once for a message between two accounts: MsgSeq, MsgRandom and MsgTime, which make up
	// MsgKey, are the same for the same message of a conversation.
	conversationKey = []field{fromAccount, toAccount, msgKey}
	// groupKey is for messages in a group: MsgSeq rises in a group, and in each topic of a community by itself.
	groupKey = []field{groupID, msgSeq, optional | topicID}
)

// kindOf is what is known of command, also if nothing is.
func kindOf(command string) kind {
	if k, ok := kinds[command]; ok {
		return k
	}
	typ := typePrefix + command
	if !source.CleanAttribute(typ) {
		typ = typePrefix + source.Attribute(typ)
	}
	return kind{typ: typ}
}

// kinds are the commands that are worth knowing: those with a key, and the most frequent ones, whose type is then at hand.
var kinds = map[string]kind{
	"C2C.CallbackBeforeSendMsg":       {typ: typePrefix + "C2C.CallbackBeforeSendMsg", key: conversationKey},
	"C2C.CallbackAfterSendMsg":        {typ: typePrefix + "C2C.CallbackAfterSendMsg", key: conversationKey},
	"C2C.CallbackAfterMsgWithDraw":    {typ: typePrefix + "C2C.CallbackAfterMsgWithDraw", key: conversationKey},
	"C2C.CallbackAfterMsgReport":      {typ: typePrefix + "C2C.CallbackAfterMsgReport"},
	"C2C.CallbackAfterMsgReadReceipt": {typ: typePrefix + "C2C.CallbackAfterMsgReadReceipt"},
	"Group.CallbackAfterSendMsg":      {typ: typePrefix + "Group.CallbackAfterSendMsg", key: groupKey},
	"Group.CallbackBeforeSendMsg":     {typ: typePrefix + "Group.CallbackBeforeSendMsg"},
	"Group.CallbackAfterReadReceipt":  {typ: typePrefix + "Group.CallbackAfterReadReceipt"},
	"State.StateChange":               {typ: typePrefix + "State.StateChange"},
	"Push.OfflinePush":                {typ: typePrefix + "Push.OfflinePush"},
	"Push.AllMemberPush":              {typ: typePrefix + "Push.AllMemberPush"},
}
