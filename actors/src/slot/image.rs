//! How a slot is copied to another node while it goes on: its objects one by one, then its tables.
//!
//! The log is shipped from the beginning of the image on. An object is taken as it is behind everything that was on its way
//! to it then, and says which entry was its last: the copy applies those behind it. The tables are taken last, so that they
//! know at least what every object has seen.

use std::collections::{BTreeSet, VecDeque};

use bytes::Bytes;
use serde::{Deserialize, Serialize};

use super::log::LogPlace;
use super::{Effect, Role, Slot};
use crate::durability::Durability;
use crate::entry::{NestedCall, Wanted};
use crate::ids::{CallId, JobId, Lane, LogIndex, NodeId, Owner, SessionId};
use crate::instance_image::InstanceImage;
use crate::objects_table::ObjectNumber;
use crate::peer::{PeerBody, PeerMessage};
use crate::replies::SessionImage;

/// Pieces that may be on their way at a time.
const WINDOW: usize = 2;
/// A piece has about this size, and one object at least.
const PIECE_BYTES: usize = 32 * 1024;
/// The most objects in a piece: whoever takes it or makes it does nothing else meanwhile, and calls wait.
const PIECE_OBJECTS: usize = 64;
/// A larger one travels in parts of this size: no frame may be larger than what a node takes.
const PART_BYTES: usize = 128 * 1024;
/// Objects whose images may be awaited at a time.
const CAPTURED_AT_ONCE: usize = 32;
/// A piece is sent again if it has not been acknowledged for so long.
const RESEND_MS: u64 = 300;

/// An image that has been sent again so often, and nothing of it has arrived, holds up no other one.
const STALLED_AFTER: u32 = 3;

/// A part of the image of a slot.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum Piece {
    /// The image begins: entries behind this place are shipped beside it.
    Begin(LogPlace),
    /// Objects.
    Objects(Vec<ObjectImage>),
    /// A part of the reply table.
    Replies(Vec<(SessionId, SessionImage)>),
    /// What concerns whom, which nested calls are out, and up to which entry this and the reply table know the log. The last.
    End {
        /// The index.
        index: LogIndex,
        /// The slot's time.
        now_ms: u64,
        /// The objects that each owner's end concerns.
        owners: Vec<(Owner, Vec<ImageName>)>,
        /// The nested calls that are out.
        nested: Vec<NestedImage>,
    },
    /// A part of a piece that is too large for one message.
    Part {
        /// What follows the parts before it of the encoded piece.
        bytes: Bytes,
        /// Whether it is the last one.
        is_last: bool,
    },
}

/// The name of an object in an image.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ImageName {
    pub(super) job: JobId,
    pub(super) type_name: String,
    pub(super) key: String,
}

/// An object in an image.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ObjectImage {
    pub(super) name: ImageName,
    pub(super) instance: InstanceImage,
}

/// A nested call in an image, and the object that made it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct NestedImage {
    pub(super) caller: ImageName,
    pub(super) lane: Lane,
    pub(super) call: CallId,
    pub(super) target: ImageName,
    pub(super) construction: Option<Wanted>,
    pub(super) durability: Option<Durability>,
    pub(super) method: u16,
    pub(super) arguments: Bytes,
    pub(super) deadline_ms: u64,
    pub(super) parent: CallId,
    pub(super) chain: Vec<u64>,
}

/// The image that a primary sends.
#[derive(Debug)]
pub(super) struct Sending {
    pub(super) to: NodeId,
    image: u64,
    next_object: ObjectNumber,
    /// Objects whose images have been asked for and are not there yet.
    awaited: BTreeSet<ObjectNumber>,
    gathered: Vec<ObjectImage>,
    gathered_bytes: usize,
    /// Pieces that are there to be sent, or have not been acknowledged, by number.
    pieces: VecDeque<(u32, Piece)>,
    /// How many of them have been sent.
    n_sent: usize,
    next_number: u32,
    /// Up to which entry the tables know the log, once they are among the pieces.
    ended: Option<LogIndex>,
    /// Since when what was sent, or sent again, has not been acknowledged.
    waiting_since_ms: Option<u64>,
    /// Since when nothing of what was sent has been acknowledged.
    silent_since_ms: Option<u64>,
    /// How often pieces have been sent again since one arrived.
    n_resent: u32,
    /// Whether the copy is complete, and counts in all but the view.
    counted_in: bool,
}

impl Sending {
    /// Adds a piece, in parts if it is large.
    fn push(&mut self, piece: Piece) {
        let is_large = match &piece {
            Piece::Objects(_) => self.gathered_bytes > 2 * PART_BYTES,
            Piece::Replies(_) | Piece::End { .. } => true,
            Piece::Begin(_) | Piece::Part { .. } => false,
        };
        let encoded = if is_large { postcard::to_allocvec(&piece).unwrap_or_default() } else { Vec::new() };
        if encoded.len() <= 2 * PART_BYTES {
            return self.push_whole(piece);
        }
        let mut rest = Bytes::from(encoded);
        while !rest.is_empty() {
            let bytes = rest.split_to(rest.len().min(PART_BYTES));
            self.push_whole(Piece::Part { bytes, is_last: rest.is_empty() });
        }
    }

    fn push_whole(&mut self, piece: Piece) {
        self.pieces.push_back((self.next_number, piece));
        self.next_number += 1;
    }

    fn close_piece(&mut self) {
        if !self.gathered.is_empty() {
            let objects = std::mem::take(&mut self.gathered);
            self.push(Piece::Objects(objects));
            self.gathered_bytes = 0;
        }
    }

    pub(super) fn is_done(&self) -> bool {
        self.counted_in
    }

    /// Whether the node has acknowledged no piece of what it was sent, since that time or earlier.
    pub(super) fn is_silent_since(&self, at_ms: u64) -> bool {
        self.silent_since_ms.is_some_and(|since| since <= at_ms)
    }
}

impl Slot {
    /// Begins to make a copy on `to`, unless that is under way.
    pub(crate) fn begin_image(&mut self, to: NodeId, out: &mut Vec<Effect>) {
        let (from, epoch) = (self.log.place_at_most(self.committed), self.epoch);
        let Role::Primary(leading) = &mut self.role else { return };
        if leading.sending.as_ref().is_some_and(|sending| sending.to == to) {
            return;
        }
        leading.n_images = leading.n_images.wrapping_add(1);
        // No other primary of the slot has this epoch, so none counts alike.
        let image = epoch.0 << 16 | u64::from(leading.n_images);
        let mut sending = Sending {
            to,
            image,
            next_object: 0,
            awaited: BTreeSet::new(),
            gathered: Vec::new(),
            gathered_bytes: 0,
            pieces: VecDeque::new(),
            n_sent: 0,
            next_number: 0,
            ended: None,
            waiting_since_ms: None,
            silent_since_ms: None,
            n_resent: 0,
            counted_in: false,
        };
        sending.push(Piece::Begin(from));
        leading.sending = Some(Box::new(sending));
        self.follow(to, image, from);
        self.pump_image(out);
    }

    /// The image of an object is there; `None` if there is no such object any more.
    pub fn handle_image(&mut self, object: ObjectNumber, image: Option<InstanceImage>, out: &mut Vec<Effect>) {
        let n_due = self.images_due.get(&object).copied().unwrap_or(0);
        self.images_due.remove(&object);
        if n_due > 1 {
            self.images_due.insert(object, n_due - 1);
        }
        let name = self.image_name(object);
        let Role::Primary(leading) = &mut self.role else { return };
        let Some(sending) = &mut leading.sending else { return };
        if n_due != 1 || !sending.awaited.remove(&object) {
            // It was asked for by an image that was given up.
            return;
        }
        if let (Some(name), Some(instance)) = (name, image) {
            sending.gathered_bytes += instance.size() + name.key.len();
            sending.gathered.push(ObjectImage { name, instance });
        }
        if sending.gathered_bytes >= PIECE_BYTES || sending.gathered.len() >= PIECE_OBJECTS {
            sending.close_piece();
        }
        self.pump_image(out);
    }

    /// Sends what may be sent of the image, and asks for more of it.
    fn pump_image(&mut self, out: &mut Vec<Effect>) {
        let (slot, epoch) = (self.id, self.epoch);
        loop {
            let Role::Primary(leading) = &mut self.role else { return };
            let Some(sending) = &mut leading.sending else { return };
            while sending.n_sent < sending.pieces.len().min(WINDOW) {
                let (number, piece) = sending.pieces[sending.n_sent].clone();
                sending.n_sent += 1;
                let body = PeerBody::Image { image: sending.image, number, piece };
                out.push(Effect::Send { to: sending.to, message: PeerMessage { slot, epoch, body } });
            }
            if sending.pieces.len() >= WINDOW || !sending.awaited.is_empty() || sending.ended.is_some() {
                return;
            }
            let next: Vec<ObjectNumber> =
                self.objects.iter_from(sending.next_object).map(|(object, _)| object).take(CAPTURED_AT_ONCE).collect();
            let Some(&last) = next.last() else {
                self.end_image();
                continue;
            };
            sending.next_object = last + 1;
            sending.awaited = next.iter().copied().collect();
            for &object in &next {
                *self.images_due.entry(object).or_default() += 1;
            }
            out.extend(next.into_iter().map(|object| Effect::Image { object }));
        }
    }

    /// All objects are in: the tables are next, as they are now.
    fn end_image(&mut self) {
        let mut pieces: Vec<Piece> = Vec::new();
        let (mut part, mut bytes) = (Vec::new(), 0);
        let alone = self.hashes_alone();
        for (session, mut image) in self.replies.images() {
            image.lose(&alone);
            bytes += image.size();
            part.push((session, image));
            if bytes >= PIECE_BYTES {
                pieces.push(Piece::Replies(std::mem::take(&mut part)));
                bytes = 0;
            }
        }
        pieces.push(Piece::Replies(part));
        let named = |&object: &ObjectNumber| self.image_name(object).filter(|_| !self.alone.has(object));
        let owners = self.owners.iter();
        let owners = owners.map(|(&owner, objects)| (owner, objects.iter().filter_map(named).collect()));
        let (owners, nested) = (owners.collect(), self.nested_images());
        let index = self.log.last().index;
        pieces.push(Piece::End { index, now_ms: self.now_ms, owners, nested });
        let Role::Primary(leading) = &mut self.role else { return };
        let Some(sending) = &mut leading.sending else { return };
        sending.close_piece();
        for piece in pieces {
            sending.push(piece);
        }
        sending.ended = Some(index);
    }

    fn nested_images(&self) -> Vec<NestedImage> {
        let image = |(&(object, lane), call): (&(ObjectNumber, Lane), &NestedCall)| {
            let caller = self.image_name(object).filter(|_| !self.alone.has(object))?;
            let (type_name, key) = (call.object_type.name.to_owned(), call.key.clone());
            Some(NestedImage {
                target: ImageName { job: caller.job, type_name, key },
                caller,
                lane,
                call: call.call,
                construction: call.construction.as_deref().map(|made| Wanted::Arguments(made.clone())),
                durability: call.durability,
                method: call.method,
                arguments: call.arguments.clone(),
                deadline_ms: call.deadline_ms,
                parent: call.parent,
                chain: call.chain.clone(),
            })
        };
        self.nested.iter().filter_map(image).collect()
    }

    fn image_name(&self, object: ObjectNumber) -> Option<ImageName> {
        let entry = self.objects.get(object)?;
        let (type_name, key) = (entry.object_type().name.to_owned(), entry.key().to_owned());
        Some(ImageName { job: entry.job(), type_name, key })
    }

    /// The joining copy has a piece, and all before it.
    pub(super) fn handle_copied(&mut self, from: NodeId, image: u64, number: u32, out: &mut Vec<Effect>) {
        let Role::Primary(leading) = &mut self.role else { return };
        let Some(sending) = leading.sending.as_mut().filter(|sending| sending.to == from && sending.image == image)
        else {
            return;
        };
        while sending.pieces.front().is_some_and(|piece| piece.0 <= number) && sending.n_sent > 0 {
            sending.pieces.pop_front();
            sending.n_sent -= 1;
            (sending.waiting_since_ms, sending.silent_since_ms, sending.n_resent) = (None, None, 0);
        }
        self.pump_image(out);
        self.finish_image(out);
    }

    /// Once the image is complete and the copy holds all that is committed, it counts, and the view is asked to say so.
    ///
    /// What its tables know has to be committed too: of an entry that another primary cuts off, they would keep the traces.
    pub(super) fn finish_image(&mut self, out: &mut Vec<Effect>) {
        let committed = self.committed;
        let Role::Primary(leading) = &mut self.role else { return };
        let Some(sending) = &mut leading.sending else { return };
        let to = sending.to;
        let holds = leading.followers.iter().any(|follower| follower.node == to && follower.acked >= committed);
        let is_sure = sending.ended.is_some_and(|index| index <= committed);
        if !is_sure || !sending.pieces.is_empty() || sending.counted_in || !holds {
            return;
        }
        sending.counted_in = true;
        self.count_in(to);
        self.advance(out);
    }

    /// The node on which a copy is to be made, if that has not begun.
    pub(crate) fn awaits_copy(&self) -> Option<NodeId> {
        let Role::Primary(leading) = &self.role else { return None };
        leading.joining.filter(|&node| leading.sending.as_ref().is_none_or(|sending| sending.to != node))
    }

    /// Whether an image is on its way there, comes on, and has not all arrived.
    pub(crate) fn is_sending_to(&self, node: NodeId) -> bool {
        let Role::Primary(leading) = &self.role else { return false };
        let comes_on = |sending: &Sending| !sending.counted_in && sending.n_resent < STALLED_AFTER;
        leading.sending.as_ref().is_some_and(|sending| sending.to == node && comes_on(sending))
    }

    /// Sends again what may have been lost of the image.
    pub(crate) fn resend_image(&mut self, now_ms: u64, out: &mut Vec<Effect>) {
        let Role::Primary(leading) = &mut self.role else { return };
        let Some(sending) = &mut leading.sending else { return };
        if sending.n_sent == 0 {
            return;
        }
        sending.silent_since_ms.get_or_insert(now_ms);
        let since = *sending.waiting_since_ms.get_or_insert(now_ms);
        if now_ms.saturating_sub(since) >= RESEND_MS {
            (sending.n_sent, sending.waiting_since_ms) = (0, Some(now_ms));
            sending.n_resent += 1;
            self.pump_image(out);
        }
    }
}
