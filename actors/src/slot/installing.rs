//! How a copy is made of the pieces of an image that its primary sends.

use super::following::Following;
use super::image::{ImageName, NestedImage, ObjectImage, Piece};
use super::{Effect, Role, Slot};
use crate::entry::{NestedCall, Wanted};
use crate::ids::{LogIndex, NodeId};
use crate::object::Registry;
use crate::objects_table::ObjectNumber;
use crate::peer::{PeerBody, ShippedError, owned_name};

/// How far the image has come that a joining copy is made of.
#[derive(Debug, Default)]
pub(super) struct Installing {
    next_number: u32,
    /// The parts that have come of a large piece.
    parts: Vec<u8>,
}

impl Slot {
    /// A piece of the image has come, of which this copy is made.
    pub(super) fn install(
        &mut self,
        from: NodeId,
        image: u64,
        (number, piece): (u32, Piece),
        registry: &Registry,
        out: &mut Vec<Effect>,
    ) -> Result<(), ShippedError> {
        let Role::Backup(following) = &mut self.role else { return Ok(()) };
        // One that has counted goes before another one is made: the view that says so is on its way.
        let may_begin = following.installing.is_some() || !self.has_counted;
        if matches!(piece, Piece::Begin(_)) && self.image != image && may_begin {
            if following.installing.replace(Installing::default()).is_none() {
                out.push(Effect::Dropped);
            }
            self.image = image;
        }
        if self.image != image {
            return Ok(());
        }
        match &following.installing {
            Some(installing) if number > installing.next_number => return Ok(()),
            Some(installing) if number == installing.next_number => {
                self.install_piece(piece, registry, out)?;
                if let Role::Backup(Following { installing: Some(installing), .. }) = &mut self.role {
                    installing.next_number += 1;
                }
            }
            // It has it; the word of that was lost.
            Some(_) | None => {}
        }
        self.answer(from, PeerBody::Copied { image, number }, out);
        Ok(())
    }

    fn install_piece(&mut self, piece: Piece, registry: &Registry, out: &mut Vec<Effect>) -> Result<(), ShippedError> {
        match piece {
            Piece::Begin(from) => {
                let following = Following { installing: self.take_installing(), in_image: LogIndex(0) };
                let fresh = Self::with_role(self.id, self.epoch, self.limits, from, Role::Backup(following));
                let (has_counted, generation, image) = (self.has_counted, self.generation, self.image);
                *self = Self { has_counted, generation, image, ..fresh };
            }
            Piece::Objects(objects) => {
                for ObjectImage { name, instance } in objects {
                    let object = self.object_named(&name, registry)?;
                    if let Some(entry) = self.objects.get(object) {
                        entry.instance().borrow_mut().install(instance);
                    }
                    self.objects.note_applied(object, 0, LogIndex(0));
                }
            }
            Piece::Part { bytes, is_last } => {
                let Role::Backup(Following { installing: Some(installing), .. }) = &mut self.role else {
                    return Ok(());
                };
                installing.parts.extend_from_slice(&bytes);
                if is_last {
                    let parts = std::mem::take(&mut installing.parts);
                    match postcard::from_bytes(&parts).map_err(|error| ShippedError::Malformed(error.to_string()))? {
                        // One in another could be so deep that it ends the process.
                        Piece::Part { .. } => return Err(ShippedError::Malformed("a part of a part".to_owned())),
                        piece => return self.install_piece(piece, registry, out),
                    }
                }
            }
            Piece::Replies(_) if planted!(ForgetReplies) => {}
            Piece::Replies(sessions) => self.replies.install(sessions),
            Piece::End { index, now_ms, owners, nested } => {
                for (owner, names) in owners {
                    let objects: Result<_, _> = names.iter().map(|name| self.object_named(name, registry)).collect();
                    self.owners.insert(owner, objects?);
                }
                for image in nested {
                    self.install_nested(image, registry)?;
                }
                self.now_ms = self.now_ms.max(now_ms);
                self.role = Role::Backup(Following { installing: None, in_image: index });
                self.hand_out(out);
            }
        }
        Ok(())
    }

    fn take_installing(&mut self) -> Option<Installing> {
        match &mut self.role {
            Role::Backup(following) => following.installing.take(),
            Role::Primary(_) => None,
        }
    }

    fn install_nested(&mut self, image: NestedImage, registry: &Registry) -> Result<(), ShippedError> {
        let object = self.object_named(&image.caller, registry)?;
        let construction = image.construction.and_then(|wanted| match wanted {
            Wanted::Arguments(made) => Some(made.into()),
            Wanted::Anything | Wanted::Hash(_) => None,
        });
        let target = owned_name(image.target.job, &image.target.type_name, &image.target.key, registry)?;
        let call = NestedCall {
            call: image.call,
            object_type: target.object_type,
            key: target.key,
            construction,
            durability: image.durability,
            again: false,
            method: image.method,
            arguments: image.arguments,
            deadline_ms: image.deadline_ms,
            parent: image.parent,
            chain: image.chain,
        };
        self.nested.insert((object, image.lane), call);
        Ok(())
    }

    fn object_named(&mut self, name: &ImageName, registry: &Registry) -> Result<ObjectNumber, ShippedError> {
        let owned = owned_name(name.job, &name.type_name, &name.key, registry)?;
        Ok(self.objects.find_or_add(owned.name()))
    }
}
