//! SR content items. Each value type is a type of its own, and a relationship is a method that takes only the value
//! types which PS3.3 allows for it, so a tree that compiles has no invalid relationship.
//!
//! The table is that of Comprehensive SR (A.35.3-2); Comprehensive 3D SR (A.35.13-2) only adds to it.

use std::marker::PhantomData;

use dicom_core::value::PrimitiveValue;
use dicom_core::{DataElement, Tag, VR};
use dicom_dictionary_std::tags;
use dicom_object::InMemDicomObject;

use super::ResultError;
use super::reference::{InstanceReference, frame_item, slice_item};
use super::vr::{put, put_items, put_us};
use crate::imaging::{ImageAttributes, SliceSource};
use crate::manifest::CodedConcept;

/// Value types (PS3.3 C.17.3.2.1).
pub enum Container {}
pub enum Code {}
pub enum Text {}
pub enum Num {}
pub enum UidRef {}
pub enum Image {}
pub enum Scoord {}

/// What a CONTAINER may CONTAIN.
pub trait Contained {}
/// What may be HAS CONCEPT MOD of anything.
pub trait Modifier {}
/// What may be HAS OBS CONTEXT.
pub trait ObservationContext {}
/// What may be HAS ACQ CONTEXT.
pub trait AcquisitionContext {}
/// What may be HAS PROPERTIES of TEXT, CODE, NUM.
pub trait Property {}
/// What may HAVE properties and be INFERRED FROM an image: TEXT, CODE, NUM.
pub trait Statement {}

macro_rules! implement {
    ($($role:ident: $($value_type:ident)+;)+) => { $($(impl $role for $value_type {})+)+ };
}
implement! {
    Contained: Container Code Text Num UidRef Image Scoord;
    Modifier: Code Text;
    ObservationContext: Code Text Num UidRef;
    AcquisitionContext: Code Text Num UidRef;
    Property: Code Text Num UidRef Image Scoord;
    Statement: Code Text Num;
}

/// A content item of value type `V` with its children in order.
///
/// A container may have an observation context:
/// ```no_run
/// use orthanc_ai::result::content::{Code, Container, Item};
/// fn valid(group: Item<Container>, observer: Item<Code>) -> Item<Container> {
///     group.has_obs_context(observer)
/// }
/// ```
/// An image may not:
/// ```compile_fail
/// use orthanc_ai::result::content::{Code, Image, Item};
/// fn invalid(image: Item<Image>, observer: Item<Code>) -> Item<Image> {
///     image.has_obs_context(observer)
/// }
/// ```
#[must_use]
pub struct Item<V> {
    object: InMemDicomObject,
    children: Vec<InMemDicomObject>,
    value_type: PhantomData<V>,
}

impl<V> Item<V> {
    fn new(value_type: &str, concept: impl Into<CodedConcept>) -> Result<Self, ResultError> {
        let mut object = InMemDicomObject::new_empty();
        put(&mut object, tags::VALUE_TYPE, value_type)?;
        put_items(&mut object, tags::CONCEPT_NAME_CODE_SEQUENCE, vec![code_item(&concept.into())?]);
        Ok(Self { object, children: Vec::new(), value_type: PhantomData })
    }

    fn child<C>(mut self, relationship: &'static str, child: Item<C>) -> Self {
        let mut object = child.finish();
        object.put(DataElement::new(tags::RELATIONSHIP_TYPE, VR::CS, relationship));
        self.children.push(object);
        self
    }

    pub fn has_concept_mod<C: Modifier>(self, modifier: Item<C>) -> Self {
        self.child("HAS CONCEPT MOD", modifier)
    }

    /// The item as a data set, its children in ContentSequence.
    pub(super) fn finish(mut self) -> InMemDicomObject {
        if !self.children.is_empty() {
            put_items(&mut self.object, tags::CONTENT_SEQUENCE, self.children);
        }
        self.object
    }
}

impl Item<Container> {
    /// A CONTAINER with separate content, under its template (TID of PS3.16) where it has one.
    pub fn container(concept: impl Into<CodedConcept>, template: Option<&str>) -> Result<Self, ResultError> {
        let mut item = Self::new("CONTAINER", concept)?;
        put(&mut item.object, tags::CONTINUITY_OF_CONTENT, "SEPARATE")?;
        if let Some(tid) = template {
            let mut identification = InMemDicomObject::new_empty();
            put(&mut identification, tags::MAPPING_RESOURCE, "DCMR")?;
            put(&mut identification, tags::TEMPLATE_IDENTIFIER, tid)?;
            put_items(&mut item.object, tags::CONTENT_TEMPLATE_SEQUENCE, vec![identification]);
        }
        Ok(item)
    }

    pub fn contains<C: Contained>(self, child: Item<C>) -> Self {
        self.child("CONTAINS", child)
    }

    pub fn has_obs_context<C: ObservationContext>(self, context: Item<C>) -> Self {
        self.child("HAS OBS CONTEXT", context)
    }
}

impl Item<Code> {
    pub fn code(concept: impl Into<CodedConcept>, value: impl Into<CodedConcept>) -> Result<Self, ResultError> {
        let mut item = Self::new("CODE", concept)?;
        put_items(&mut item.object, tags::CONCEPT_CODE_SEQUENCE, vec![code_item(&value.into())?]);
        Ok(item)
    }
}

impl Item<Text> {
    pub fn text(concept: impl Into<CodedConcept>, value: &str) -> Result<Self, ResultError> {
        let mut item = Self::new("TEXT", concept)?;
        put(&mut item.object, tags::TEXT_VALUE, value)?;
        Ok(item)
    }
}

impl Item<UidRef> {
    pub fn uid(concept: impl Into<CodedConcept>, uid: &str) -> Result<Self, ResultError> {
        let mut item = Self::new("UIDREF", concept)?;
        put(&mut item.object, tags::UID, uid)?;
        Ok(item)
    }
}

impl Item<Num> {
    /// A number (a Decimal String, see `vr::decimal_string`) in a UCUM unit.
    pub fn num(
        concept: impl Into<CodedConcept>,
        value: &str,
        unit: impl Into<CodedConcept>,
    ) -> Result<Self, ResultError> {
        let mut measured = InMemDicomObject::new_empty();
        put(&mut measured, tags::NUMERIC_VALUE, value)?;
        put_items(&mut measured, tags::MEASUREMENT_UNITS_CODE_SEQUENCE, vec![code_item(&unit.into())?]);
        let mut item = Self::new("NUM", concept)?;
        put_items(&mut item.object, tags::MEASURED_VALUE_SEQUENCE, vec![measured]);
        Ok(item)
    }
}

impl<V: Statement> Item<V> {
    pub fn has_properties<C: Property>(self, property: Item<C>) -> Self {
        self.child("HAS PROPERTIES", property)
    }

    pub fn inferred_from(self, image: Item<Image>) -> Self {
        self.child("INFERRED FROM", image)
    }
}

impl Item<Image> {
    /// A reference to a source instance; it must be in the evidence too.
    pub fn image(concept: impl Into<CodedConcept>, image: &ImageAttributes) -> Result<Self, ResultError> {
        Self::referring(concept, InstanceReference::from(image).item()?)
    }

    /// As [`Self::image`], in a multi-frame instance to one frame, counted from 1.
    pub fn frame(
        concept: impl Into<CodedConcept>,
        image: &ImageAttributes,
        frame: Option<u32>,
    ) -> Result<Self, ResultError> {
        Self::referring(concept, frame_item(InstanceReference::from(image), frame)?)
    }

    /// A reference to the image that a slice was read from, in a multi-frame instance to its frame.
    pub fn slice(concept: impl Into<CodedConcept>, slice: &SliceSource) -> Result<Self, ResultError> {
        Self::referring(concept, slice_item(slice)?)
    }

    /// A reference to one segment of a Segmentation instance.
    pub fn segment(
        concept: impl Into<CodedConcept>,
        segmentation: InstanceReference<'_>,
        number: u16,
    ) -> Result<Self, ResultError> {
        let mut reference = segmentation.item()?;
        put_us(&mut reference, tags::REFERENCED_SEGMENT_NUMBER, &[number]);
        Self::referring(concept, reference)
    }

    fn referring(concept: impl Into<CodedConcept>, reference: InMemDicomObject) -> Result<Self, ResultError> {
        let mut item = Self::new("IMAGE", concept)?;
        put_items(&mut item.object, tags::REFERENCED_SOP_SEQUENCE, vec![reference]);
        Ok(item)
    }

    pub fn has_acq_context<C: AcquisitionContext>(self, context: Item<C>) -> Self {
        self.child("HAS ACQ CONTEXT", context)
    }
}

impl Item<Scoord> {
    /// A polyline through `points`, (column, row) pairs in pixels with (0, 0) at the top left corner of the first pixel
    /// (PS3.3 C.18.6.1.2), selected from `image`; closed when the last point is the first.
    pub fn polyline(
        concept: impl Into<CodedConcept>,
        points: &[[f32; 2]],
        image: Item<Image>,
    ) -> Result<Self, ResultError> {
        let mut item = Self::new("SCOORD", concept)?;
        let coordinates = points.iter().flatten().copied().collect();
        put(&mut item.object, tags::GRAPHIC_TYPE, "POLYLINE")?;
        item.object.put(DataElement::new(tags::GRAPHIC_DATA, VR::FL, PrimitiveValue::F32(coordinates)));
        Ok(item.child("SELECTED FROM", image))
    }
}

/// One item of a code sequence (PS3.3 8.8).
pub fn code_item(concept: &CodedConcept) -> Result<InMemDicomObject, ResultError> {
    let mut item = InMemDicomObject::new_empty();
    let fields: [(Tag, &str); 3] = [
        (tags::CODE_VALUE, &concept.value),
        (tags::CODING_SCHEME_DESIGNATOR, &concept.scheme),
        (tags::CODE_MEANING, &concept.meaning),
    ];
    for (tag, value) in fields {
        if value.is_empty() {
            return Err(ResultError::Value { attribute: super::vr::keyword(tag), reason: "empty (Type 1)".into() });
        }
        put(&mut item, tag, value)?;
    }
    Ok(item)
}
